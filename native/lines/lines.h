/*
 * lines.h: which lines of a text hold one of some words.
 *
 * Why it exists: logs of nodes can be gigabytes. A search in Python for each word reads the text
 * once for each; this reads it once for all of them, and counts the lines on its way.
 *
 * The search is that of Wu and Manber (1994, "A fast algorithm for multi-pattern searching"): blocks
 * of two bytes say how far the search may jump.
 */
#ifndef DISSEVER_LINES_H
#define DISSEVER_LINES_H

#include <stdint.h>

#define LINES_WORDS_MAX 64
#define LINES_WORD_BYTES_MIN 4
#define LINES_WORD_BYTES_MAX 64
#define LINES_BLOCKS 4096 /* a power of two */

struct lines_words {
    int32_t words_n;
    int32_t shortest;    /* bytes of the shortest word */
    int32_t sizes[64];   /* LINES_WORDS_MAX: bytes of each word */
    uint8_t words[4096]; /* each in LINES_WORD_BYTES_MAX bytes */
    uint8_t jumps[4096]; /* LINES_BLOCKS: bytes to go on after a block, 0: look closely */
};

struct lines_hit {
    int64_t line;  /* how many line feeds stand before it in the text */
    int64_t start; /* of the line, in bytes of the text */
    int64_t end;   /* of the line: its line feed, or the end of the text */
    int64_t place; /* of the word */
};

/*
 * Prepare a search. `text` holds the words one after the other, `sizes` their bytes.
 *
 * Returns 0, or -1 when there is none, there are too many, or one is too short or too long.
 */
int32_t lines_prepare(struct lines_words *words, const uint8_t *text, const int32_t *sizes,
                      int32_t words_n);

/*
 * Find lines from byte `from` on, at most one hit for each line: its first word.
 *
 * Where `each` is not 0, every place of a word is a hit of its own.
 *
 * Returns how many hits were written, at most hits_max. `next` is where the search goes on: `bytes`
 * once all is read. `feeds` is how many line feeds stand before `next`; it goes in as that of `from`.
 */
int64_t lines_find(const struct lines_words *words, const uint8_t *text, int64_t bytes,
                   int64_t from, int32_t each, struct lines_hit *hits, int64_t hits_max,
                   int64_t *next, int64_t *feeds);

#endif
