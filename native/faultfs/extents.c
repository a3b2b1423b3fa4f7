/* The extents of one file: see files.h. */
#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512

static off_t end_of(const struct extent *extent)
{
    return extent->start + extent->length;
}

static off_t least(off_t a, off_t b)
{
    return a < b ? a : b;
}

static off_t most(off_t a, off_t b)
{
    return a > b ? a : b;
}

/* The index of the first extent that ends after `position`. */
static size_t first_after(const struct extents *extents, off_t position)
{
    size_t low = 0, high = extents->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (end_of(&extents->list[middle]) > position)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Put an extent at an index; takes over its bytes, also when it fails. */
static int insert(struct extents *extents, size_t index, struct extent extent)
{
    if (extents->count == extents->room) {
        size_t room = extents->room ? 2 * extents->room : 8;
        struct extent *list = realloc(extents->list, room * sizeof *list);
        if (!list) {
            free(extent.bytes);
            return -ENOMEM;
        }
        extents->list = list;
        extents->room = room;
    }
    memmove(&extents->list[index + 1], &extents->list[index],
            (extents->count - index) * sizeof *extents->list);
    extents->list[index] = extent;
    extents->count++;
    extents->kept += extent.bytes ? extent.length : 0;
    return 0;
}

static void erase(struct extents *extents, size_t index)
{
    extents->kept -= extents->list[index].bytes ? extents->list[index].length : 0;
    free(extents->list[index].bytes);
    extents->count--;
    memmove(&extents->list[index], &extents->list[index + 1],
            (extents->count - index) * sizeof *extents->list);
}

/* Read all of [start, start + length); what is beyond the end is zeros. */
static int read_fully(int fd, unsigned char *bytes, off_t length, off_t start)
{
    off_t done = 0;

    while (done < length) {
        ssize_t got = pread(fd, bytes + done, (size_t)(length - done), start + done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += got;
    }
    memset(bytes + done, 0, (size_t)(length - done));
    return 0;
}

static int write_fully(int fd, const unsigned char *bytes, off_t length, off_t start)
{
    off_t done = 0;

    while (done < length) {
        ssize_t put = pwrite(fd, bytes + done, (size_t)(length - done), start + done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        done += put;
    }
    return 0;
}

void extents_init(struct extents *extents, off_t size)
{
    *extents = (struct extents){.size = size};
}

void extents_free(struct extents *extents)
{
    for (size_t i = 0; i < extents->count; i++)
        free(extents->list[i].bytes);
    free(extents->list);
    extents_init(extents, extents->size);
}

int extents_are_dirty(const struct extents *extents, off_t size)
{
    return extents->count > 0 || extents->size != size;
}

int extents_save(struct extents *extents, int fd, off_t start, off_t end)
{
    off_t position = start;
    size_t i = first_after(extents, start);

    end = least(end, extents->size);
    while (position < end) {
        if (i < extents->count && extents->list[i].start <= position) {
            position = end_of(&extents->list[i++]);
            continue;
        }
        off_t stop = i < extents->count ? least(end, extents->list[i].start) : end;
        struct extent gap = {.start = position, .length = stop - position};
        gap.bytes = malloc((size_t)gap.length);
        if (!gap.bytes)
            return -ENOMEM;
        int failure = read_fully(fd, gap.bytes, gap.length, gap.start);
        if (failure) {
            free(gap.bytes);
            return failure;
        }
        failure = insert(extents, i++, gap);
        if (failure)
            return failure;
        position = stop;
    }
    return 0;
}

/* A copy of the part of an extent from `start` on; its bytes are NULL when there is no memory. */
static struct extent tail_of(const struct extent *extent, off_t start)
{
    struct extent tail = {.start = start, .length = end_of(extent) - start};

    if (extent->bytes) {
        tail.bytes = malloc((size_t)tail.length);
        if (tail.bytes)
            memcpy(tail.bytes, extent->bytes + (start - extent->start), (size_t)tail.length);
    }
    return tail;
}

/* Shorten an extent to what is before `end`; it may not become empty. */
static void cut(struct extents *extents, struct extent *extent, off_t end)
{
    if (extent->bytes)
        extents->kept -= end_of(extent) - end;
    extent->length = end - extent->start;
}

int extents_settle(struct extents *extents, off_t start, off_t end)
{
    if (start >= end)
        return 0;
    for (size_t i = first_after(extents, start); i < extents->count;) {
        struct extent *extent = &extents->list[i];
        if (extent->start >= end)
            break;
        if (end_of(extent) > end) {
            struct extent tail = tail_of(extent, end);
            if (extent->bytes && !tail.bytes)
                return -ENOMEM;
            int failure = insert(extents, i + 1, tail);
            if (failure)
                return failure;
            extent = &extents->list[i];
        }
        if (extent->start < start) {
            cut(extents, extent, start);
            i++;
        } else {
            erase(extents, i);
        }
    }
    if (start > extents->size) {
        struct extent gap = {.start = extents->size, .length = start - extents->size};
        int failure = insert(extents, extents->count, gap);
        if (failure)
            return failure;
    }
    extents->size = most(extents->size, end);
    return 0;
}

void extents_settle_all(struct extents *extents, off_t size)
{
    extents_free(extents);
    extents->size = size;
}

/* Put one sector's share of a range back, or let it live. `bytes` NULL: zeros. */
static int lose_sectors(int fd, off_t start, off_t end, const unsigned char *bytes, double keep,
                        uint64_t *random, struct loss *loss)
{
    static const unsigned char zeros[SECTOR];

    for (off_t at = start; at < end;) {
        off_t stop = least(end, (at / SECTOR + 1) * SECTOR);
        if (keep > 0 && random_fraction(random) < keep) {
            loss->sectors_kept++;
        } else {
            int failure = write_fully(fd, bytes ? bytes + (at - start) : zeros, stop - at, at);
            if (failure)
                return failure;
            loss->sectors_lost++;
            loss->bytes += stop - at;
        }
        at = stop;
    }
    return 0;
}

int extents_lose(struct extents *extents, int fd, double keep, uint64_t *random,
                 struct loss *loss)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    int keeps_size = keep > 0 && random_fraction(random) < keep;
    if (!keeps_size && status.st_size != extents->size) {
        if (ftruncate(fd, extents->size) < 0)
            return -errno;
        loss->bytes += most(0, status.st_size - extents->size);
    } else if (keeps_size && status.st_size > extents->size) {
        int failure =
            lose_sectors(fd, extents->size, status.st_size, NULL, keep, random, loss);
        if (failure)
            return failure;
    }
    off_t size = keeps_size ? status.st_size : extents->size;
    for (size_t i = 0; i < extents->count; i++) {
        const struct extent *extent = &extents->list[i];
        off_t end = least(end_of(extent), size);
        if (extent->start >= end)
            continue;
        int failure = lose_sectors(fd, extent->start, end, extent->bytes, keep, random, loss);
        if (failure)
            return failure;
    }
    extents_settle_all(extents, size);
    return 0;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double random_fraction(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}
