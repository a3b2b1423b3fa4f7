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

/* Zeros; pages_release gives them back, given the same size. NULL without memory. */
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

static inline void pages_release(void *memory, size_t bytes)
{
    if (memory == NULL || bytes < 2 * PAGES_BYTES)
        free(memory);
    else
        munmap(memory, bytes);
}

#endif
