// The one function of this system library that Rust's standard library calls, for a wine that lacks the library.
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(void* buffer, ULONG bytes);

__declspec(dllexport) BOOL WINAPI ProcessPrng(unsigned char* buffer, size_t bytes) {
    return SystemFunction036(buffer, (ULONG)bytes);
}
