/* A reference-counted tree whose nodes are freed a few at a time, driven by the allocator's heartbeat. */
#include "check.h"

typedef struct node_s { struct node_s *left, *right; long count; char payload[200]; } node_t;

/* Nodes whose count fell to zero, linked through `left`. */
static node_t* pending;
static unsigned long long last_beat;
static long beats, freed, made;

static void free_some(bool force, unsigned long long heartbeat, void* arg) {
  (void)arg;
  CHECK(heartbeat >= last_beat); /* a clock that never goes back */
  last_beat = heartbeat;
  beats++;
  for (int budget = 100; pending != NULL && (force || budget > 0); budget--) {
    node_t* node = pending;
    pending = node->left;
    mi_free(node);
    freed++;
  }
}

static node_t* tree(int depth) {
  node_t* node = mi_zalloc_tp(node_t);
  made++;
  node->count = 1;
  if (depth > 0) {
    node->left = tree(depth - 1);
    node->right = tree(depth - 1);
  }
  return node;
}

static void drop(node_t* node) {
  if (node == NULL || --node->count > 0) return;
  drop(node->left);
  drop(node->right);
  node->left = pending;
  pending = node;
}

int main(void) {
  mi_register_deferred_free(&free_some, NULL);
  for (int round = 0; round < 1000; round++) drop(tree(10));
  CHECK(beats > 0);
  CHECK(freed > 0); /* on the way, without a word from the program */
  mi_collect(true);
  CHECK(pending == NULL && freed == made);
  mi_register_deferred_free(NULL, NULL);
  printf("%ld heartbeats, %ld nodes\n", beats, made);
  return check_report();
}
