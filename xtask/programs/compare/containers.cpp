// A C++ program that makes the compiler work (templates, the standard containers, algorithms, regular expressions) and
// then allocates a good deal itself. Prints checksums.
#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <future>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace {

using Number = std::uint64_t;
constexpr Number MODULUS = 1'000'000'007;

Number mix(Number state, Number value) { return (state * 31 + value) % MODULUS; }

// An expression tree on variants.
struct Expression;
using Child = std::unique_ptr<Expression>;
struct Literal { Number value; };
struct Sum { std::vector<Child> terms; };
struct Product { Child left, right; };
struct Expression { std::variant<Literal, Sum, Product> node; };

template <class... Visitors>
struct Overloaded : Visitors... { using Visitors::operator()...; };
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

Child make(std::mt19937 &random, int depth) {
  if (depth == 0) return std::make_unique<Expression>(Expression{Literal{random() % 100}});
  if (random() % 3 == 0)
    return std::make_unique<Expression>(Expression{Product{make(random, depth - 1), make(random, depth - 1)}});
  Sum sum;
  for (unsigned count = 1 + random() % 4; count > 0; count--) sum.terms.push_back(make(random, depth - 1));
  return std::make_unique<Expression>(Expression{std::move(sum)});
}

Number value(const Expression &expression) {
  return std::visit(Overloaded{[](const Literal &literal) { return literal.value; },
                               [](const Sum &sum) {
                                 return std::accumulate(sum.terms.begin(), sum.terms.end(), Number{0},
                                                        [](Number total, const Child &term) { return (total + value(*term)) % MODULUS; });
                               },
                               [](const Product &product) { return value(*product.left) * value(*product.right) % MODULUS; }},
                    expression.node);
}

template <template <class...> class Map>
Number count_words(const std::vector<std::string> &words) {
  Map<std::string, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < words.size(); i++) places[words[i]].push_back(i);
  Number total = 0;
  for (const auto &[word, list] : places) total += word.size() * list.back() % MODULUS;
  return total % MODULUS;
}

std::vector<std::string> make_words(unsigned seed, std::size_t count) {
  std::mt19937 random(seed);
  std::vector<std::string> words(count);
  for (auto &word : words) word = "word" + std::to_string(random() % (count / 4)) + std::string(random() % 40, 'x');
  return words;
}

template <class Container>
Number churn(unsigned seed) {
  std::mt19937 random(seed);
  Container container;
  Number state = 1;
  for (int i = 0; i < 200'000; i++) {
    if (random() % 3 != 0 || container.empty()) {
      container.push_back(random());
    } else {
      state = mix(state, container.back());
      container.pop_back();
    }
  }
  return std::accumulate(container.begin(), container.end(), state, mix);
}

template <std::size_t... Sizes>
Number arrays(std::index_sequence<Sizes...>) {
  Number state = 1;
  auto one = [&state](auto array) {
    std::iota(array->begin(), array->end(), state);
    state = std::accumulate(array->begin(), array->end(), state, mix);
  };
  (one(std::make_unique<std::array<Number, Sizes * 3 + 1>>()), ...);
  return state;
}

Number expressions(unsigned seed) {
  std::mt19937 random(seed);
  Number state = 1;
  for (int i = 0; i < 20; i++) state = mix(state, value(*make(random, 8)));
  return state;
}

Number patterns() {
  std::ostringstream text;
  for (int i = 0; i < 2000; i++) text << "key" << i << '=' << i * i << ';' << (i % 7 == 0 ? "\n" : " ");
  const std::string whole = text.str();
  const std::regex pair("key(\\d+)=(\\d*[05]);");
  Number state = 1;
  for (std::sregex_iterator match(whole.begin(), whole.end(), pair), end; match != end; ++match)
    state = mix(state, std::stoull((*match)[2]));
  return state;
}

// Objects are made in one thread and destroyed in another.
Number pipelines() {
  std::vector<std::future<std::shared_ptr<std::map<int, std::string>>>> parts;
  for (int part = 0; part < 8; part++)
    parts.push_back(std::async(std::launch::async, [part] {
      auto map = std::make_shared<std::map<int, std::string>>();
      for (int i = 0; i < 20'000; i++) map->emplace(i * 7 % 20'011, std::string(i % 100, static_cast<char>('a' + part)));
      return map;
    }));
  Number state = 1;
  for (auto &part : parts) {
    const auto map = part.get();
    for (const auto &[key, text] : *map) state = mix(state, key + text.size());
  }
  return state;
}

}  // namespace

int main() {
  const auto words = make_words(1, 60'000);
  std::cout << "ordered " << count_words<std::map>(words) << '\n';
  std::cout << "hashed " << count_words<std::unordered_map>(words) << '\n';
  std::cout << "vector " << churn<std::vector<Number>>(2) << '\n';
  std::cout << "deque " << churn<std::deque<Number>>(3) << '\n';
  std::cout << "list " << churn<std::list<Number>>(4) << '\n';
  std::cout << "arrays " << arrays(std::make_index_sequence<40>()) << '\n';
  std::cout << "expressions " << expressions(5) << '\n';
  std::cout << "patterns " << patterns() << '\n';
  std::cout << "pipelines " << pipelines() << '\n';
}
