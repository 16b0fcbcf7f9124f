# g++: compiles a C++ program full of templates (the object files must be the same), runs the result with the library.
source "$PROGRAMS/matrix/common.sh"
cp "$PROGRAMS/compare/containers.cpp" .
g++ -std=c++17 -O2 -g -c containers.cpp -o containers.o
g++ -std=c++20 -O1 -fsyntax-only -Wall -Wextra containers.cpp
objdump -d containers.o | md5sum
g++ -pthread containers.o -o containers
for round in 1 2 3; do ./containers; done
