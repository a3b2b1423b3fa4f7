/*
 * causal.c: the edges that causal consistency demands.
 *
 * The clock of a transaction says how many transactions of each session reach it by steps of
 * sessions and of reads, itself included. For a read of x by t3 from t1, and each session, the last
 * transaction of it that wrote x and reaches t3 comes before t1; those before it in the session
 * follow. One that reaches t1 does so anyway.
 *
 * Clocks of all sessions at once may not fit, so sessions are taken in batches. Reads are taken key
 * by key and session by session: then what was the last one only moves on.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "observed.h"
#include "pages.h"

#define CLOCKS_BYTES ((int64_t)1 << 30)
#define BATCH_MIN 8
#define AHEAD 4 /* reads whose clocks are fetched before they are needed */

/* Who reads, as a place in `line`, and whose write. */
struct read {
    int32_t place, source;
};

/* By key, in the order of `line`: who wrote it, as places in `line`, and the reads of it. */
struct by_key {
    int64_t *first_write, *first_read;
    int32_t *writes;
    struct read *reads;
};

/* The transactions of one session that wrote the key at hand. */
struct run {
    int32_t session; /* within the batch */
    int32_t start;   /* of the session in `line` */
    int64_t first, next, end;
};

struct causal {
    struct weak *weak;
    struct by_key by_key;
    uint32_t *order;     /* vertices, so that what reaches another comes first */
    int32_t *session_of; /* place in `line` -> session */
    int32_t *clocks;     /* operation * width + session within the batch */
    int32_t *zero;       /* the clock of the initial values */
    struct run *runs;
    int32_t from, width; /* the batch: its first session, and how many */
};

static void add_up(int64_t *first, int32_t keys_n)
{
    for (int32_t key = 0; key < keys_n; key++)
        first[key + 2] += first[key + 1];
}

static bool sort_by_key(const struct weak *weak, struct by_key *by_key)
{
    const struct micro *micro = weak->micro;
    int32_t keys_n = micro->keys_n, length = weak->session_first[weak->sessions_n];
    int64_t reads_n = 0;
    for (int64_t at = 0; at < micro->n; at++)
        reads_n += weak_is_outer(weak, at);
    by_key->first_write = calloc((size_t)keys_n + 3, sizeof *by_key->first_write);
    by_key->first_read = calloc((size_t)keys_n + 3, sizeof *by_key->first_read);
    by_key->writes = pages_allocate(((size_t)weak->wrote[weak->n] + 1) * sizeof *by_key->writes);
    by_key->reads = pages_allocate(((size_t)reads_n + 1) * sizeof *by_key->reads);
    if (by_key->first_write == NULL || by_key->first_read == NULL || by_key->writes == NULL ||
        by_key->reads == NULL)
        return false;
    for (int64_t i = 0; i < weak->wrote[weak->n]; i++)
        by_key->first_write[weak->wrote_key[i] + 2]++;
    for (int64_t at = 0; at < micro->n; at++)
        by_key->first_read[micro->key[at] + 2] += weak_is_outer(weak, at);
    add_up(by_key->first_write, keys_n);
    add_up(by_key->first_read, keys_n);
    for (int32_t place = 0; place < length; place++) {
        int32_t i = weak->line[place];
        for (int64_t w = weak->wrote[i]; w < weak->wrote[i + 1]; w++)
            by_key->writes[by_key->first_write[weak->wrote_key[w] + 1]++] = place;
        for (int64_t at = micro->first[i]; at < micro->first[i + 1]; at++)
            if (weak_is_outer(weak, at))
                by_key->reads[by_key->first_read[micro->key[at] + 1]++] =
                    (struct read){place, weak->source[at]};
    }
    return true;
}

static void join(int32_t *restrict clock, const int32_t *restrict other, int32_t width)
{
    for (int32_t s = 0; s < width; s++)
        clock[s] = clock[s] > other[s] ? clock[s] : other[s];
}

static const int32_t *clock_of(const struct causal *causal, int32_t operation)
{
    return operation == causal->weak->n
               ? causal->zero
               : causal->clocks + (int64_t)operation * causal->width;
}

static void fetch(const struct causal *causal, const struct read *read)
{
    const int32_t *seen = clock_of(causal, causal->weak->line[read->place]);
    const int32_t *known = clock_of(causal, read->source);
    for (int32_t s = 0; s < causal->width && s < 64; s += 16) {
        __builtin_prefetch(seen + s);
        __builtin_prefetch(known + s);
    }
}

/* The clocks of one batch. */
static void tick(const struct causal *causal)
{
    const struct weak *weak = causal->weak;
    int64_t vertices = weak_vertices(weak);
    int32_t width = causal->width;
    for (int64_t v = 0; v < vertices; v++) {
        if (causal->order[v] >= (uint32_t)weak->n)
            continue;
        int32_t i = (int32_t)causal->order[v], place = weak->line_place[i], last = NONE;
        if (place == NONE)
            continue; /* failed */
        int32_t session = causal->session_of[place];
        int32_t *clock = causal->clocks + (int64_t)i * width;
        bool has_before = place > weak->session_first[session];
        memcpy(clock, has_before ? clock_of(causal, weak->line[place - 1]) : causal->zero,
               (size_t)width * sizeof *clock);
        for (int64_t at = weak->micro->first[i]; at < weak->micro->first[i + 1]; at++) {
            int32_t source = weak->source[at];
            if (source == NONE || source == weak->n || source == last)
                continue;
            join(clock, clock_of(causal, source), width);
            last = source;
        }
        if (session >= causal->from && session < causal->from + width)
            clock[session - causal->from] = place - weak->session_first[session] + 1;
    }
}

/* The runs of a key in the batch; how many. */
static int32_t find_runs(const struct causal *causal, int32_t key)
{
    const struct weak *weak = causal->weak;
    const int32_t *writes = causal->by_key.writes;
    int64_t low = causal->by_key.first_write[key], end = causal->by_key.first_write[key + 1];
    int32_t start = weak->session_first[causal->from], n = 0;
    for (int64_t high = end; low < high;) {
        int64_t middle = low + (high - low) / 2;
        if (writes[middle] < start)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < end && causal->session_of[writes[low]] < causal->from + causal->width; n++) {
        int32_t session = causal->session_of[writes[low]];
        struct run *run = &causal->runs[n];
        *run = (struct run){session - causal->from, weak->session_first[session], low, low, low};
        while (run->end < end && writes[run->end] < weak->session_first[session + 1])
            run->end++;
        low = run->end;
    }
    return n;
}

static bool demand_key(const struct causal *causal, int32_t key)
{
    struct weak *weak = causal->weak;
    const int32_t *writes = causal->by_key.writes;
    int32_t runs_n = find_runs(causal, key), last_session = NONE;
    int64_t end = causal->by_key.first_read[key + 1];
    for (int64_t r = causal->by_key.first_read[key]; runs_n > 0 && r < end; r++) {
        const struct read *read = &causal->by_key.reads[r];
        int32_t place = read->place, source = read->source;
        if (r + AHEAD < end)
            fetch(causal, read + AHEAD);
        int32_t reader = weak->line[place], session = causal->session_of[place];
        const int32_t *seen = clock_of(causal, reader), *known = clock_of(causal, source);
        for (int32_t i = 0; session != last_session && i < runs_n; i++)
            causal->runs[i].next = causal->runs[i].first;
        last_session = session;
        for (int32_t i = 0; i < runs_n; i++) {
            struct run *run = &causal->runs[i];
            bool is_own = run->session + causal->from == session;
            int32_t bound = is_own ? place : run->start + seen[run->session];
            while (run->next < run->end && writes[run->next] < bound)
                run->next++;
            if (run->next == run->first ||
                writes[run->next - 1] < run->start + known[run->session])
                continue;
            int32_t last = weak->line[writes[run->next - 1]];
            if (!weak_put(weak, last, source, GRAPH_COMMIT, key) ||
                (source == weak->n && !weak_put(weak, source, last, GRAPH_SESSION, GRAPH_NO_KEY)))
                return false;
        }
    }
    return true;
}

static bool open_batches(struct causal *causal)
{
    struct weak *weak = causal->weak;
    int32_t length = weak->session_first[weak->sessions_n];
    int64_t width = CLOCKS_BYTES / (int64_t)sizeof(int32_t) / (weak->n + 1);
    width = width < BATCH_MIN ? BATCH_MIN : width;
    causal->width = (int32_t)(width < weak->sessions_n ? width : weak->sessions_n);
    size_t columns = (size_t)causal->width + 1;
    causal->clocks = pages_allocate((size_t)weak->n * columns * sizeof *causal->clocks);
    causal->zero = calloc(columns, sizeof *causal->zero);
    causal->runs = malloc(columns * sizeof *causal->runs);
    causal->session_of = malloc(((size_t)length + 1) * sizeof *causal->session_of);
    if (causal->clocks == NULL || causal->zero == NULL || causal->runs == NULL ||
        causal->session_of == NULL)
        return false;
    for (int32_t session = 0; session < weak->sessions_n; session++)
        for (int32_t p = weak->session_first[session]; p < weak->session_first[session + 1]; p++)
            causal->session_of[p] = session;
    return sort_by_key(weak, &causal->by_key);
}

static bool do_batches(struct causal *causal)
{
    int32_t sessions_n = causal->weak->sessions_n, width = causal->width;
    for (causal->from = 0; causal->from < sessions_n; causal->from += width) {
        if (sessions_n - causal->from < causal->width)
            causal->width = sessions_n - causal->from;
        tick(causal);
        for (int32_t key = 0; key < causal->weak->micro->keys_n; key++)
            if (!demand_key(causal, key))
                return false;
    }
    return true;
}

int32_t weak_causal(struct weak *weak)
{
    struct causal causal = {.weak = weak};
    struct graph graph = {0};
    int64_t vertices = weak_vertices(weak);
    uint32_t mask = 1U << GRAPH_SESSION | 1U << GRAPH_WR | 1U << GRAPH_LINK;
    causal.order = pages_allocate((size_t)vertices * sizeof *causal.order);
    bool is_fine = causal.order != NULL &&
                   graph_build(&graph, &weak->edges, weak->n + 1, vertices) == 0;
    int64_t components = is_fine ? graph_sort(&graph, mask, NULL, 0, NULL, causal.order) : NONE;
    graph_free(&graph);
    is_fine = components >= 0;
    int32_t verdict = WEAK_VALID;
    if (is_fine && components == vertices) {
        if ((int64_t)weak->n * weak->sessions_n > weak->options->steps_max) {
            verdict = weak_read_atomic(weak); /* what it demands, causal does, too */
            is_fine = verdict == WEAK_VALID;
            verdict = WEAK_BUDGET;
        } else {
            is_fine = open_batches(&causal) && do_batches(&causal);
        }
    }
    void *blocks[] = {causal.order,          causal.session_of,     causal.clocks,
                      causal.zero,           causal.runs,           causal.by_key.first_write,
                      causal.by_key.writes,  causal.by_key.reads,   causal.by_key.first_read};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    return is_fine ? verdict : WEAK_MEMORY;
}
