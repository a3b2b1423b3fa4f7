/*
 * reading.c: the error that ends a reading, and the memory of a mapped file (see reading.h).
 */
#define _DEFAULT_SOURCE /* madvise */
#include "reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "values.h"

#define UTF8_BYTES ((ptrdiff_t)32 << 20) /* of a large file, looked at together */
#define UTF8_LONGEST 4                   /* bytes of a character */
#define RELEASE_BYTES ((size_t)32 << 20) /* a multiple of every size of a page */

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

void load_release(struct load *l, const uint8_t *before)
{
    if (l->released == NULL || before < l->released)
        return;
    size_t bytes = (size_t)(before - l->released) / RELEASE_BYTES * RELEASE_BYTES;
    if (bytes == 0)
        return;
    (void)madvise((void *)l->released, bytes, MADV_DONTNEED); /* a wish: memory is all it saves */
    l->released += bytes;
}

const uint8_t *load_utf8_end(struct load *l)
{
    for (const uint8_t *at = l->at;;) {
        const uint8_t *end = l->end - at > UTF8_BYTES ? at + UTF8_BYTES : l->end;
        const uint8_t *valid_end = utf8_end(at, end);
        load_release(l, valid_end);
        if (end == l->end || end - valid_end >= UTF8_LONGEST) {
            l->released = l->released == NULL ? NULL : l->begin;
            return valid_end;
        }
        at = valid_end;
    }
}
