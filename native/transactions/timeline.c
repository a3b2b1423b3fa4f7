/*
 * timeline.c: who came before whom by process and by the clock (see engine.h).
 *
 * A barrier is an auxiliary vertex: the completions up to a moment lead to it, it leads to the next
 * barrier, and to the invocations after that moment and before the next completion. So a path by
 * barriers from a to b exists exactly when a completed before b was invoked, with at most 3 edges an
 * operation. Of a process each operation leads to the next one.
 */
#include <string.h>

#include "engine.h"

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)

/* Operations with the number that they are sorted by. */
struct moment {
    uint64_t at;
    int32_t operation;
};

/* Stable, digit by digit, without those digits that are equal in all. Returns where the result is:
 * `moments` or `scratch`. */
static struct moment *sort_moments(struct moment *moments, struct moment *scratch, int64_t n)
{
    uint64_t differ = 0;
    bool is_sorted = true;
    for (int64_t i = 1; i < n; i++) {
        differ |= moments[i].at ^ moments[0].at;
        is_sorted = is_sorted && moments[i - 1].at <= moments[i].at;
    }
    for (int shift = 0; shift < 64 && !is_sorted; shift += DIGIT_BITS) {
        int64_t place[DIGITS + 1] = {0};
        if ((differ >> shift & (DIGITS - 1)) == 0)
            continue;
        for (int64_t i = 0; i < n; i++)
            place[(moments[i].at >> shift & (DIGITS - 1)) + 1]++;
        for (int digit = 0; digit < DIGITS; digit++)
            place[digit + 1] += place[digit];
        for (int64_t i = 0; i < n; i++)
            scratch[place[moments[i].at >> shift & (DIGITS - 1)]++] = moments[i];
        struct moment *swapped = moments;
        moments = scratch;
        scratch = swapped;
    }
    return moments;
}

/* Signed times in the order of unsigned numbers. */
static uint64_t ranked(int64_t time)
{
    return (uint64_t)time ^ (uint64_t)1 << 63;
}

/* A completion never comes before its own invocation, whatever the clock said. */
static int64_t completion_time(const struct columns *columns, int32_t i)
{
    return columns->ret_time[i] < columns->inv_time[i] ? columns->inv_time[i]
                                                       : columns->ret_time[i];
}

/* An edge of time into `next`, or onwards from an auxiliary vertex. */
static int32_t step(struct engine *engine, int64_t from, int64_t to, enum graph_kind kind)
{
    return engine_depend(engine, (int32_t)from, (int32_t)to, kind, GRAPH_NO_KEY);
}

/* Operations of one process in order: ok ones lead on, an open one only follows. */
static int32_t chain_process(struct engine *engine, const struct moment *of, int64_t n)
{
    int32_t before = NOBODY;
    for (int64_t i = 0; i < n; i++) {
        int32_t operation = of[i].operation;
        if (is_failed(engine, operation))
            continue;
        if (before != NOBODY && step(engine, before, operation, GRAPH_PROCESS) != 0)
            return -1;
        if (is_ok(engine, operation))
            before = operation;
    }
    return 0;
}

int32_t timeline_process(struct engine *engine)
{
    int64_t n = engine->operations;
    struct moment *all = engine_zeros(engine, 2 * n, sizeof *all);
    int32_t status = all == NULL ? -1 : 0;
    for (int32_t i = 0; status == 0 && i < n; i++)
        all[i] = (struct moment){(uint32_t)engine->columns->process[i], i};
    struct moment *sorted = status == 0 ? sort_moments(all, all + n, n) : NULL;
    for (int64_t first = 0, end; status == 0 && first < n; first = end) {
        for (end = first + 1; end < n && sorted[end].at == sorted[first].at;)
            end++;
        status = chain_process(engine, sorted + first, end - first);
    }
    engine_release(engine, all, 2 * n, sizeof *all);
    return status;
}

/* Lead invocations behind the completions before them. */
static int32_t raise_barriers(struct engine *engine, const struct moment *invoked, int64_t invoked_n,
                              const struct moment *completed, int64_t completed_n)
{
    int64_t barrier = NOBODY;
    int64_t done = 0;
    for (int64_t i = 0; i < invoked_n; i++) {
        int64_t next = barrier;
        if (done < completed_n && completed[done].at < invoked[i].at) {
            next = engine->vertices++;
            if (barrier != NOBODY && step(engine, barrier, next, GRAPH_LINK) != 0)
                return -1;
        }
        for (; done < completed_n && completed[done].at < invoked[i].at; done++)
            if (step(engine, completed[done].operation, next, GRAPH_REALTIME) != 0)
                return -1;
        if (next != NOBODY && step(engine, next, invoked[i].operation, GRAPH_LINK) != 0)
            return -1;
        barrier = next;
    }
    return 0;
}

int32_t timeline_realtime(struct engine *engine)
{
    const struct columns *columns = engine->columns;
    int64_t n = engine->operations;
    int64_t invoked_n = 0, completed_n = 0;
    struct moment *invoked = engine_zeros(engine, 2 * n, sizeof *invoked);
    struct moment *completed = engine_zeros(engine, 2 * n, sizeof *completed);
    int32_t status = -1;
    if (invoked == NULL || completed == NULL || engine->vertices + n > GRAPH_VERTICES_MAX)
        goto released;
    for (int32_t i = 0; i < n; i++) {
        if (!is_failed(engine, i))
            invoked[invoked_n++] = (struct moment){ranked(columns->inv_time[i]), i};
        if (is_ok(engine, i))
            completed[completed_n++] = (struct moment){ranked(completion_time(columns, i)), i};
    }
    status = raise_barriers(engine, sort_moments(invoked, invoked + n, invoked_n), invoked_n,
                            sort_moments(completed, completed + n, completed_n), completed_n);
released:
    engine_release(engine, invoked, 2 * n, sizeof *invoked);
    engine_release(engine, completed, 2 * n, sizeof *completed);
    return status;
}

int32_t timeline_completions(struct engine *engine, uint32_t *order)
{
    int64_t n = engine->operations;
    struct moment *all = engine_zeros(engine, 2 * n, sizeof *all);
    if (all == NULL)
        return -1;
    for (int32_t i = 0; i < n; i++) {
        int64_t at = is_ok(engine, i) ? completion_time(engine->columns, i) : INT64_MAX;
        all[i] = (struct moment){ranked(at), i};
    }
    const struct moment *sorted = sort_moments(all, all + n, n);
    for (int64_t i = 0; i < n; i++)
        order[i] = (uint32_t)sorted[i].operation;
    engine_release(engine, all, 2 * n, sizeof *all);
    return 0;
}
