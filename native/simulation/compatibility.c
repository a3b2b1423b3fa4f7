/*
 * What the libraries' archives want of their surroundings.
 *
 * Archives made with the headers of glibc 2.38 name functions that older ones have under other
 * names. `dqlite_fail` is how libdqlite says that an assertion failed.
 */
#undef _GNU_SOURCE /* With it, newer headers give strtol the very name that is defined here. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int __isoc23_sscanf(const char *text, const char *format, ...) __attribute__((weak));
long __isoc23_strtol(const char *text, char **end, int base) __attribute__((weak));
unsigned long __isoc23_strtoul(const char *text, char **end, int base) __attribute__((weak));
unsigned long long __isoc23_strtoull(const char *text, char **end, int base) __attribute__((weak));
void dqlite_fail(const char *assertion, const char *file, unsigned line, const char *function);

int __isoc23_sscanf(const char *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsscanf(text, format, arguments);
    va_end(arguments);
    return count;
}

long __isoc23_strtol(const char *text, char **end, int base)
{
    return strtol(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
    return strtoul(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base)
{
    return strtoull(text, end, base);
}

void dqlite_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
    fflush(NULL);
    abort();
}
