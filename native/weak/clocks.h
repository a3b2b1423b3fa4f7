/*
 * clocks.h: how many transactions of each session reach a transaction by steps of sessions and of
 * reads, itself included; of the sessions of one batch.
 */
#ifndef DISSEVER_WEAK_CLOCKS_H
#define DISSEVER_WEAK_CLOCKS_H

#include <string.h>

#include "observed.h"

#define CLOCKS_BYTES ((int64_t)1 << 30) /* of one batch */

struct clocks {
    int32_t *of;         /* operation * width + session within the batch */
    int32_t *zero;       /* of the initial values */
    int32_t *session_of; /* place in `line` -> session */
    int32_t from, width; /* the batch: its first session, and how many */
};

/* All but `from`; what is given must be zeros, and goes to clocks_close. False without memory. */
bool clocks_open(struct clocks *clocks, const struct weak *weak, int32_t width);
void clocks_close(struct clocks *clocks);

static inline const int32_t *clock_of(const struct clocks *clocks, const struct weak *weak,
                                      int32_t operation)
{
    return operation == weak->n ? clocks->zero : clocks->of + (int64_t)operation * clocks->width;
}

static inline void clocks_join(int32_t *restrict clock, const int32_t *restrict other,
                               int32_t width)
{
    for (int32_t s = 0; s < width; s++)
        clock[s] = clock[s] > other[s] ? clock[s] : other[s];
}

/* The clock of an operation that did not fail, once those of all that reach it are known. */
static inline void clocks_tick(const struct clocks *clocks, const struct weak *weak, int32_t i)
{
    int32_t place = weak->line_place[i], last = NONE, width = clocks->width;
    int32_t session = clocks->session_of[place];
    int32_t *clock = clocks->of + (int64_t)i * width;
    bool has_before = place > weak->session_first[session];
    memcpy(clock, has_before ? clock_of(clocks, weak, weak->line[place - 1]) : clocks->zero,
           (size_t)width * sizeof *clock);
    for (int64_t at = weak->micro->first[i]; at < weak->micro->first[i + 1]; at++) {
        int32_t source = weak->source[at];
        if (source == NONE || source == weak->n || source == last)
            continue;
        clocks_join(clock, clock_of(clocks, weak, source), width);
        last = source;
    }
    if (session >= clocks->from && session < clocks->from + width)
        clock[session - clocks->from] = place - weak->session_first[session] + 1;
}

#endif
