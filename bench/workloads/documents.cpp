// C++ programs: a JSON document tree, a key-value store under a skewed trace, string building, a map of strings.
//
// Sources of the patterns: JSON after the many benchmarks of tree parsers (a std::map or vector per node); the trace's
// shape (skewed keys, small values, 10 % writes) after Atikoglu et al., "Workload analysis of a large-scale key-value
// store", SIGMETRICS 2012; the others are the everyday containers of C++ programs.
#include "workload.h"

#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

// --- JSON ---------------------------------------------------------------------------------------------------------

struct Value {
    enum Kind { Null, Number, Text, Array, Object } kind = Null;
    long number = 0;
    std::string text;
    std::vector<std::unique_ptr<Value>> items;
    std::map<std::string, std::unique_ptr<Value>> members;
};

using Node = std::unique_ptr<Value>;

std::string word(rng &r) {
    std::string s;
    for (size_t n = rng_between(&r, 3, 30); n > 0; n--) s.push_back(static_cast<char>('a' + rng_below(&r, 26)));
    return s;
}

void write_random(std::string &out, rng &r, int depth) {
    const auto dice = rng_below(&r, depth == 0 ? 2 : 6);
    if (dice == 0) {
        out += std::to_string(rng_below(&r, 1000000));
    } else if (dice == 1) {
        out += '"' + word(r) + '"';
    } else {
        const bool object = dice > 3;
        out += object ? '{' : '[';
        for (size_t i = 0, n = rng_between(&r, 1, 8); i < n; i++) {
            if (i > 0) out += ',';
            if (object) out += '"' + word(r) + "\":";
            write_random(out, r, depth - 1);
        }
        out += object ? '}' : ']';
    }
}

class Parser {
public:
    explicit Parser(const std::string &text) : at(text.c_str()) {}

    Node value() {
        auto v = std::make_unique<Value>();
        switch (*at) {
        case '{': object(*v); break;
        case '[': array(*v); break;
        case '"': v->kind = Value::Text, v->text = string(); break;
        default: v->kind = Value::Number, v->number = number();
        }
        return v;
    }

private:
    const char *at;

    std::string string() {
        const char *end = strchr(++at, '"');
        std::string s(at, end);
        at = end + 1;
        return s;
    }

    long number() {
        char *end;
        const long n = strtol(at, &end, 10);
        at = end;
        return n;
    }

    void array(Value &v) {
        v.kind = Value::Array;
        do {
            at++;
            v.items.push_back(value());
        } while (*at == ',');
        at++;
    }

    void object(Value &v) {
        v.kind = Value::Object;
        do {
            at++;
            auto key = string();
            at++; // the colon
            v.members[key] = value();
        } while (*at == ',');
        at++;
    }
};

void print(const Value &v, std::string &out) {
    switch (v.kind) {
    case Value::Null: out += "null"; break;
    case Value::Number: out += std::to_string(v.number); break;
    case Value::Text: out += '"' + v.text + '"'; break;
    case Value::Array:
        out += '[';
        for (const auto &item : v.items) print(*item, out), out += ',';
        out += ']';
        break;
    case Value::Object:
        out += '{';
        for (const auto &[key, member] : v.members) out += key + ':', print(*member, out), out += ',';
        out += '}';
    }
}

void change(Value &v, rng &r) { // replaces some leaves, drops some members
    if (v.kind == Value::Text && rng_below(&r, 4) == 0) v.text = word(r);
    for (auto &item : v.items) change(*item, r);
    if (v.members.size() > 2 && rng_below(&r, 4) == 0) v.members.erase(v.members.begin());
    for (auto &[key, member] : v.members) change(*member, r);
}

uint64_t hash(const std::string &s) { // FNV-1a
    uint64_t h = 14695981039346656037u;
    for (unsigned char c : s) h = (h ^ c) * 1099511628211u;
    return h;
}

std::string random_document() {
    rng r = rng_new(15);
    std::string text = "[0";
    for (int i = 0; i < 300; i++) text += ',', write_random(text, r, 6);
    return text + ']';
}

// --- key-value store ------------------------------------------------------------------------------------------------

class Store { // least recently used out first
public:
    explicit Store(size_t limit) : limit(limit) {}

    const std::string *get(const std::string &key) {
        const auto found = index.find(key);
        if (found == index.end()) return nullptr;
        recency.splice(recency.begin(), recency, found->second);
        return &found->second->second;
    }

    void set(const std::string &key, std::string value) {
        const auto found = index.find(key);
        if (found != index.end()) {
            found->second->second = std::move(value);
            return;
        }
        recency.emplace_front(key, std::move(value));
        index[key] = recency.begin();
        if (index.size() > limit) evict();
    }

private:
    using Entry = std::pair<std::string, std::string>;
    size_t limit;
    std::list<Entry> recency;
    std::unordered_map<std::string, std::list<Entry>::iterator> index;

    void evict() {
        index.erase(recency.back().first);
        recency.pop_back();
    }
};

std::string skewed_key(rng &r) { // the product of two uniform numbers favours small ones
    const auto rank = rng_below(&r, 1000) * rng_below(&r, 1000);
    return "user:profile:" + std::to_string(rank);
}

std::string random_value(rng &r) {
    return std::string(rng_power_law(&r, 20, 7), static_cast<char>('a' + rng_below(&r, 26)));
}

// --- strings ---------------------------------------------------------------------------------------------------------

std::vector<std::string> split(const std::string &text, char mark) {
    std::vector<std::string> parts;
    size_t from = 0;
    for (size_t to; (to = text.find(mark, from)) != std::string::npos; from = to + 1)
        parts.push_back(text.substr(from, to - from));
    parts.push_back(text.substr(from));
    return parts;
}

std::string join(const std::vector<std::string> &parts, const std::string &mark) {
    std::string text;
    for (const auto &part : parts) text = text.empty() ? part : std::move(text) + mark + part;
    return text;
}

std::string sentence(rng &r) {
    std::string text;
    for (size_t n = rng_between(&r, 10, 200); n > 0; n--) text += word(r) + ' ';
    return text;
}

uint64_t map_body(unsigned index, void *shared) {
    const uint64_t rounds = *static_cast<uint64_t *>(shared);
    rng r = rng_new(index + 100);
    std::map<std::string, std::string> tree;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        tree[word(r)] = word(r);
        if (tree.size() > 20000) {
            auto victim = tree.lower_bound(word(r));
            if (victim == tree.end()) victim = tree.begin();
            sum += hash(victim->second);
            tree.erase(victim);
        }
    }
    return sum;
}

} // namespace

extern "C" uint64_t run_json(const params *p) {
    const std::string text = random_document();
    rng r = rng_new(16);
    uint64_t sum = 0;
    for (uint64_t i = 0, rounds = scaled(p, 8); i < rounds; i++) {
        Node document = Parser(text).value();
        change(*document, r);
        std::string printed;
        print(*document, printed);
        sum += hash(printed);
    }
    return sum;
}

extern "C" uint64_t run_key_value(const params *p) {
    Store store(60000);
    rng r = rng_new(17);
    uint64_t sum = 0;
    for (uint64_t i = 0, rounds = scaled(p, 3000000); i < rounds; i++) {
        const auto key = skewed_key(r);
        const auto *found = rng_below(&r, 10) == 0 ? nullptr : store.get(key);
        if (found) sum += found->size();
        else store.set(key, random_value(r));
    }
    return sum;
}

extern "C" uint64_t run_strings(const params *p) {
    rng r = rng_new(18);
    uint64_t sum = 0;
    for (uint64_t i = 0, rounds = scaled(p, 10000); i < rounds; i++) {
        auto words = split(sentence(r), ' ');
        std::sort(words.begin(), words.end());
        const auto text = join(words, ", ");
        sum += hash(text.substr(0, 64)) + text.size();
    }
    return sum;
}

extern "C" uint64_t run_string_map(const params *p) {
    uint64_t rounds = scaled_per_thread(p, 1000000);
    return on_threads(p->threads, map_body, &rounds);
}
