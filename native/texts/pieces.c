/*
 * pieces.c: pieces sorted (see pieces.h).
 */
#include "pieces.h"

/* By merging: runs of 1, 2, 4 and so on. */
void pieces_sort(struct piece *pieces, struct piece *scratch, int32_t n)
{
    for (int32_t run = 1; run < n; run *= 2) {
        for (int32_t start = 0; start < n - run; start += 2 * run) {
            int32_t middle = start + run, end = n - middle > run ? middle + run : n;
            if (piece_compare(&pieces[middle - 1], &pieces[middle]) <= 0)
                continue;
            memcpy(scratch, pieces + start, sizeof *pieces * (size_t)run);
            int32_t left = 0, right = middle, to = start;
            while (left < run && right < end)
                pieces[to++] = piece_compare(&scratch[left], &pieces[right]) <= 0 ? scratch[left++]
                                                                            : pieces[right++];
            memcpy(pieces + to, scratch + left, sizeof *pieces * (size_t)(run - left));
        }
        if (run > INT32_MAX / 4)
            break;
    }
}
