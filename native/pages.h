/*
 * pages.h: memory in large pages where the system has them: a fault costs as much as the work that
 * a linear engine does on a page of 4 KiB.
 */
#ifndef DISSEVER_PAGES_H
#define DISSEVER_PAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGES_BYTES ((size_t)2 << 20)

/* malloc; free gives it back. */
static void *pages_allocate(size_t bytes)
{
    if (bytes < 2 * PAGES_BYTES || bytes > SIZE_MAX - PAGES_BYTES)
        return malloc(bytes == 0 ? 1 : bytes);
    size_t rounded = (bytes + PAGES_BYTES - 1) / PAGES_BYTES * PAGES_BYTES;
    void *memory = aligned_alloc(PAGES_BYTES, rounded);
#ifdef MADV_HUGEPAGE
    if (memory != NULL)
        (void)madvise(memory, rounded, MADV_HUGEPAGE); /* a wish: it may be refused */
#endif
    return memory;
}

#endif
