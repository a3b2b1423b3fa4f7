/*
 * pages.h: memory in large pages, where the system has them.
 *
 * Why: a page fault costs as much as the work that a linear engine does on a page of 4 KiB. Blocks
 * below two large pages (4 MiB) come from the heap.
 *
 * A file that includes this defines _DEFAULT_SOURCE first, for madvise and MAP_ANONYMOUS.
 */
#ifndef DISSEVER_PAGES_H
#define DISSEVER_PAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGES_BYTES ((size_t)2 << 20)

/* As malloc: bytes with any content; free gives them back. NULL without memory. */
static inline void *pages_allocate(size_t bytes)
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

/* Zeros, of which only pages that are touched cost memory. pages_release gives them back. NULL
 * without memory. */
static inline void *pages_zeroed(size_t bytes)
{
    if (bytes < 2 * PAGES_BYTES)
        return calloc(1, bytes == 0 ? 1 : bytes);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

/* The next n entries of `size` bytes out of a block that has room; *block moves behind them. */
static inline void *pages_carve(void **block, size_t n, size_t size)
{
    unsigned char *carved = *block;
    *block = carved + n * size;
    return carved;
}

/* Give back what pages_zeroed gave, with the same size; NULL is allowed. */
static inline void pages_release(void *memory, size_t bytes)
{
    if (memory == NULL || bytes < 2 * PAGES_BYTES)
        free(memory);
    else
        munmap(memory, bytes);
}

#endif
