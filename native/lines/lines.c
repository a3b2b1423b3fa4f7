/* lines.c: the search that lines.h describes. */
#include <string.h>

#include "lines.h"

_Static_assert(sizeof(((struct lines_words *)0)->words) == LINES_WORDS_MAX * LINES_WORD_BYTES_MAX,
               "each word has its bytes");
_Static_assert(sizeof(((struct lines_words *)0)->jumps) == LINES_BLOCKS, "each block has a jump");

static uint32_t block(const uint8_t *two)
{
    return ((uint32_t)two[0] << 4 ^ (uint32_t)two[1]) & (LINES_BLOCKS - 1);
}

int32_t lines_prepare(struct lines_words *words, const uint8_t *text, const int32_t *sizes,
                      int32_t words_n)
{
    if (words_n < 1 || words_n > LINES_WORDS_MAX)
        return -1;
    words->words_n = words_n;
    words->shortest = LINES_WORD_BYTES_MAX;
    for (int32_t i = 0; i < words_n; i++) {
        if (sizes[i] < LINES_WORD_BYTES_MIN || sizes[i] > LINES_WORD_BYTES_MAX)
            return -1;
        words->sizes[i] = sizes[i];
        if (sizes[i] < words->shortest)
            words->shortest = sizes[i];
        memcpy(words->words + i * LINES_WORD_BYTES_MAX, text, (size_t)sizes[i]);
        text += sizes[i];
    }
    memset(words->jumps, words->shortest - 1, LINES_BLOCKS);
    for (int32_t i = 0; i < words_n; i++) {
        const uint8_t *word = words->words + i * LINES_WORD_BYTES_MAX;
        for (int32_t end = 2; end <= words->shortest; end++) {
            uint8_t jump = (uint8_t)(words->shortest - end);
            uint8_t *held = &words->jumps[block(word + end - 2)];
            if (jump < *held)
                *held = jump;
        }
    }
    return 0;
}

static int is_word(const struct lines_words *words, const uint8_t *at, int64_t room)
{
    for (int32_t i = 0; i < words->words_n; i++) {
        const uint8_t *word = words->words + i * LINES_WORD_BYTES_MAX;
        if (words->sizes[i] <= room && *at == *word &&
            memcmp(at, word, (size_t)words->sizes[i]) == 0)
            return 1;
    }
    return 0;
}

/* Count the line feeds in [from, to); `last` becomes the byte after the last of them. */
static int64_t count_feeds(const uint8_t *text, int64_t from, int64_t to, int64_t *last)
{
    int64_t count = 0;
    while (from < to) {
        const uint8_t *feed = memchr(text + from, '\n', (size_t)(to - from));
        if (feed == NULL)
            break;
        from = feed - text + 1;
        *last = from;
        count++;
    }
    return count;
}

int64_t lines_find(const struct lines_words *words, const uint8_t *text, int64_t bytes,
                   int64_t from, int32_t each, struct lines_hit *hits, int64_t hits_max,
                   int64_t *next, int64_t *feeds)
{
    int64_t found = 0, counted = from, start = from, at = from;
    const int64_t shortest = words->shortest;
    while (start > 0 && text[start - 1] != '\n') /* a search that goes on inside a line */
        start--;
    while (found < hits_max && at + shortest <= bytes) {
        uint8_t jump = words->jumps[block(text + at + shortest - 2)];
        if (jump > 0) {
            at += jump;
            continue;
        }
        if (!is_word(words, text + at, bytes - at)) {
            at++;
            continue;
        }
        *feeds += count_feeds(text, counted, at, &start);
        counted = at;
        const uint8_t *feed = memchr(text + at, '\n', (size_t)(bytes - at));
        int64_t end = feed == NULL ? bytes : feed - text;
        hits[found++] = (struct lines_hit){*feeds, start, end, at};
        at = each ? at + 1 : end;
    }
    if (found < hits_max)
        at = bytes;
    *feeds += count_feeds(text, counted, at, &start);
    *next = at;
    return found;
}
