// Input for the compiler: containers, regular expressions and tuples instantiated FIELDS times.
#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

template <int N> struct Field {
    int value[N];
    bool operator<(const Field &other) const { return value[0] < other.value[0]; }
};

template <int N> int use() {
    std::map<Field<N>, std::vector<Field<N>>> sorted;
    std::unordered_map<int, std::tuple<Field<N>, std::string>> hashed;
    std::vector<Field<N>> list(N);
    std::sort(list.begin(), list.end());
    for (auto &field : list) sorted[field].push_back(field), hashed[field.value[0]] = {field, "text"};
    std::function<int(int)> f = [&](int n) { return n + static_cast<int>(sorted.size() + hashed.size()); };
    return f(N);
}

template <int... Ns> int use_all(std::integer_sequence<int, Ns...>) { return (0 + ... + use<Ns + 1>()); }

int main() {
    std::regex pattern("a+(b|c)*d");
    return use_all(std::make_integer_sequence<int, FIELDS>()) + std::regex_match("abcd", pattern);
}
