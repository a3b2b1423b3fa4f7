/*
 * pieces.h: bytes, their order, and which begin with which.
 */
#ifndef DISSEVER_PIECES_H
#define DISSEVER_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes, with what sorts them first: their own beginning, or a number before that. */
struct piece {
    uint64_t head;
    const uint8_t *bytes;
    size_t length;
    int32_t operation; /* that adds it or was told it; -1 for the initial text */
};

/* The first 8 bytes as a number that sorts as they do. */
static uint64_t head_of(const uint8_t *bytes, size_t length)
{
    uint64_t head = 0;
    if (length >= sizeof head) {
        memcpy(&head, bytes, sizeof head);
        return __builtin_bswap64(head);
    }
    for (size_t i = 0; i < length; i++)
        head |= (uint64_t)bytes[i] << (56 - 8 * i);
    return head;
}

static bool is_prefix(const struct piece *piece, const uint8_t *bytes, size_t length)
{
    return piece->length <= length &&
           (piece->length == 0 || memcmp(piece->bytes, bytes, piece->length) == 0);
}

static int compare_pieces(const struct piece *one, const struct piece *other)
{
    if (one->head != other->head)
        return one->head < other->head ? -1 : 1;
    size_t least = one->length < other->length ? one->length : other->length;
    int order = least == 0 ? 0 : memcmp(one->bytes, other->bytes, least);
    if (order != 0 || one->length == other->length)
        return order;
    return one->length < other->length ? -1 : 1;
}

/* Sort by merging: runs of 1, 2, 4 and so on. */
static void sort_pieces(struct piece *pieces, struct piece *scratch, int32_t n)
{
    for (int32_t run = 1; run < n; run *= 2) {
        for (int32_t start = 0; start < n - run; start += 2 * run) {
            int32_t middle = start + run, end = n - middle > run ? middle + run : n;
            if (compare_pieces(&pieces[middle - 1], &pieces[middle]) <= 0)
                continue;
            memcpy(scratch, pieces + start, sizeof *pieces * (size_t)run);
            int32_t left = 0, right = middle, to = start;
            while (left < run && right < end)
                pieces[to++] = compare_pieces(&scratch[left], &pieces[right]) <= 0 ? scratch[left++]
                                                                            : pieces[right++];
            memcpy(pieces + to, scratch + left, sizeof *pieces * (size_t)(run - left));
        }
        if (run > INT32_MAX / 4)
            break;
    }
}

#endif
