/*
 * compare_lines.c: the search of lines.h against one that tries every place.
 *
 * Usage: compare_lines CASES SEED
 * Each case has up to eight words and a text of up to 300 bytes, both of few letters, in memory of
 * exactly their sizes. The text is searched in calls of one to four hits.
 * Prints "cases C hits H mismatches M". The first mismatch goes to stderr.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

#define WORDS 8
#define BYTES 300
#define LETTERS "ab\n\n"

/* splitmix64 */
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int64_t below(uint64_t *seed, int64_t limit)
{
    return (int64_t)(random_next(seed) % (uint64_t)limit);
}

/* All hits, as lines.h defines them; returns how many. */
static int64_t expected(const uint8_t *text, int64_t bytes, const uint8_t *words,
                        const int32_t *sizes, int32_t words_n, int32_t each, struct lines_hit *hits)
{
    int64_t found = 0, line = 0, start = 0;
    for (int64_t at = 0; at < bytes; at++) {
        int64_t end = at, is_word = 0;
        const uint8_t *word = words;
        for (int32_t i = 0; i < words_n; word += sizes[i++])
            is_word |= sizes[i] <= bytes - at && memcmp(text + at, word, (size_t)sizes[i]) == 0;
        if (text[at] == '\n') {
            line++;
            start = at + 1;
        }
        if (!is_word || (!each && found > 0 && hits[found - 1].line == line))
            continue;
        while (end < bytes && text[end] != '\n')
            end++;
        hits[found++] = (struct lines_hit){line, start, end, at};
    }
    return found;
}

static int is_same(const struct lines_hit *a, const struct lines_hit *b)
{
    return a->line == b->line && a->start == b->start && a->end == b->end && a->place == b->place;
}

/* Returns the hits of a case; -1 for a mismatch. */
static int64_t run_case(uint64_t *seed)
{
    struct lines_words prepared;
    struct lines_hit right[BYTES], found[BYTES + 4];
    int32_t sizes[WORDS], words_n = (int32_t)below(seed, WORDS) + 1, each = (int32_t)below(seed, 2);
    int64_t size = 0, bytes = below(seed, BYTES), next = 0, feeds = 0, count = 0, most, step;
    for (int32_t i = 0; i < words_n; i++)
        size += sizes[i] = (int32_t)below(seed, 5) + LINES_WORD_BYTES_MIN;
    uint8_t *words = malloc((size_t)size), *text = malloc((size_t)bytes + !bytes);
    if (words == NULL || text == NULL)
        abort();
    for (int64_t i = 0; i < size; i++)
        words[i] = (uint8_t)LETTERS[below(seed, 2)];
    for (int64_t i = 0; i < bytes; i++)
        text[i] = (uint8_t)LETTERS[below(seed, below(seed, 8) == 0 ? 4 : 2)];
    int64_t right_n = expected(text, bytes, words, sizes, words_n, each, right), lines = 0;
    for (int64_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    int is_right = lines_prepare(&prepared, words, sizes, words_n) == 0;
    do {
        most = below(seed, 4) + 1;
        step = lines_find(&prepared, text, bytes, next, each, found + count, most, &next, &feeds);
        count += step;
    } while (step == most && count <= right_n);
    is_right = is_right && count == right_n && next == bytes && feeds == lines;
    for (int64_t i = 0; is_right && i < count; i++)
        is_right = is_same(&found[i], &right[i]);
    free(words);
    free(text);
    return is_right ? count : -1;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int64_t cases = atoll(argv[1]), hits = 0, mismatches = 0;
    uint64_t seed = strtoull(argv[2], NULL, 10);
    for (int64_t i = 0; i < cases; i++) {
        uint64_t before = seed;
        int64_t found = run_case(&seed);
        if (found < 0 && mismatches++ == 0)
            fprintf(stderr, "case %lld, seed %llu\n", (long long)i, (unsigned long long)before);
        hits += found < 0 ? 0 : found;
    }
    printf("cases %lld hits %lld mismatches %lld\n", (long long)cases, (long long)hits,
           (long long)mismatches);
    return mismatches > 0;
}
