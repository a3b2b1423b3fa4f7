/*
 * What the libraries' archives want of their surroundings, and a simulation must decide.
 *
 * Archives made with the headers of glibc 2.38 name functions that older ones have under other
 * names. `getrandom` is a hidden source of chance: here it is a stream of the run. `dqlite_fail` is
 * how libdqlite says that an assertion failed.
 */
#undef _GNU_SOURCE /* With it, newer headers give strtol the very name that is defined here. */
#include "simulation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

int __isoc23_sscanf(const char *text, const char *format, ...) __attribute__((weak));
long __isoc23_strtol(const char *text, char **end, int base) __attribute__((weak));
unsigned long __isoc23_strtoul(const char *text, char **end, int base) __attribute__((weak));
unsigned long long __isoc23_strtoull(const char *text, char **end, int base) __attribute__((weak));
ssize_t getrandom(void *bytes, size_t size, unsigned flags);
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

ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    (void)flags;
    struct random nowhere = {0};
    struct random *random = simulation.running ? &simulation.running->system_random : &nowhere;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)random_next(random);
    return (ssize_t)size;
}

void dqlite_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
    fflush(NULL);
    abort();
}
