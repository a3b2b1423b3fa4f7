/*
 * reading.c: the error that ends a reading (see reading.h).
 */
#include "reading.h"

#include <stdarg.h>
#include <stdio.h>

bool load_fail(struct load *l, int32_t status, const uint8_t *at, const char *format, ...)
{
    if (l->loaded.status != LOAD_OK)
        return false;
    l->loaded.status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(l->message, sizeof l->message, format, arguments);
    va_end(arguments);
    const uint8_t *line_start = l->begin;
    l->loaded.line = 1;
    for (const uint8_t *next; (next = memchr(line_start, '\n', (size_t)(at - line_start)));) {
        line_start = next + 1;
        l->loaded.line++;
    }
    l->loaded.column = (uint64_t)(at - line_start) + 1;
    return false;
}

bool load_no_memory(struct load *l)
{
    return load_fail(l, LOAD_NO_MEMORY, l->at, "out of memory, or of ids for values");
}
