/*
 * pieces.h: pieces of text as bytes: their order, and which begin with which.
 *
 * A piece points to bytes of the loaded values, and owns nothing. Its `head` sorts it first: its
 * own beginning, or a number that is to count before that. Time: O(length) for each comparison,
 * most of which `head` decides in O(1).
 */
#ifndef DISSEVER_PIECES_H
#define DISSEVER_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct piece {
    uint64_t head;
    const uint8_t *bytes;
    size_t length;     /* in bytes */
    int32_t operation; /* that adds it or got it; -1 for the initial text */
};

/* The first 8 bytes as a number that sorts as they do. */
static inline uint64_t piece_head(const uint8_t *bytes, size_t length)
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

/* Whether some bytes begin with a piece. */
static inline bool piece_begins(const struct piece *piece, const uint8_t *bytes, size_t length)
{
    return piece->length <= length &&
           (piece->length == 0 || memcmp(piece->bytes, bytes, piece->length) == 0);
}

/* As memcmp: by head, then by bytes, then the shorter one first. */
static inline int piece_compare(const struct piece *one, const struct piece *other)
{
    if (one->head != other->head)
        return one->head < other->head ? -1 : 1;
    size_t least = one->length < other->length ? one->length : other->length;
    int order = least == 0 ? 0 : memcmp(one->bytes, other->bytes, least);
    if (order != 0 || one->length == other->length)
        return order;
    return one->length < other->length ? -1 : 1;
}

/* Sort, stable, in O(n log n) comparisons. scratch: room for n pieces. */
void pieces_sort(struct piece *pieces, struct piece *scratch, int32_t n);

#endif
