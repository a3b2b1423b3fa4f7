/*
 * causal.c: the edges that causal consistency demands.
 *
 * The clock of a transaction (clocks.h) says who reaches it. For a read of x by t3 from t1, and for
 * each session, the last transaction of it that wrote x and reaches t3 comes before t1; those before
 * it in the session follow. One that reaches t1 does so anyway.
 *
 * Clocks of all sessions at once may not fit, so sessions are taken in batches. Reads are taken key
 * by key and session by session: then what was the last one only moves on.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "pages.h"

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
    uint32_t *order; /* vertices, so that what reaches another comes first */
    struct clocks clocks;
    struct run *runs;
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

static void fetch(const struct causal *causal, const struct read *read)
{
    const struct weak *weak = causal->weak;
    const int32_t *seen = clock_of(&causal->clocks, weak, weak->line[read->place]);
    const int32_t *known = clock_of(&causal->clocks, weak, read->source);
    for (int32_t s = 0; s < causal->clocks.width && s < 64; s += 16) {
        __builtin_prefetch(seen + s);
        __builtin_prefetch(known + s);
    }
}

/* The clocks of one batch. */
static void tick(const struct causal *causal)
{
    const struct weak *weak = causal->weak;
    int64_t vertices = weak_vertices(weak);
    for (int64_t v = 0; v < vertices; v++)
        if (causal->order[v] < (uint32_t)weak->n && weak->line_place[causal->order[v]] != NONE)
            clocks_tick(&causal->clocks, weak, (int32_t)causal->order[v]);
}

/* The runs of a key in the batch; how many. */
static int32_t find_runs(const struct causal *causal, int32_t key)
{
    const struct weak *weak = causal->weak;
    const int32_t *writes = causal->by_key.writes;
    int64_t low = causal->by_key.first_write[key], end = causal->by_key.first_write[key + 1];
    const struct clocks *clocks = &causal->clocks;
    int32_t start = weak->session_first[clocks->from], n = 0;
    for (int64_t high = end; low < high;) {
        int64_t middle = low + (high - low) / 2;
        if (writes[middle] < start)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < end && clocks->session_of[writes[low]] < clocks->from + clocks->width; n++) {
        int32_t session = clocks->session_of[writes[low]];
        struct run *run = &causal->runs[n];
        *run = (struct run){session - clocks->from, weak->session_first[session], low, low, low};
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
        int32_t reader = weak->line[place], session = causal->clocks.session_of[place];
        const int32_t *seen = clock_of(&causal->clocks, weak, reader);
        const int32_t *known = clock_of(&causal->clocks, weak, source);
        for (int32_t i = 0; session != last_session && i < runs_n; i++)
            causal->runs[i].next = causal->runs[i].first;
        last_session = session;
        for (int32_t i = 0; i < runs_n; i++) {
            struct run *run = &causal->runs[i];
            bool is_own = run->session + causal->clocks.from == session;
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
    int64_t width = CLOCKS_BYTES / (int64_t)sizeof(int32_t) / (weak->n + 1);
    width = width < BATCH_MIN ? BATCH_MIN : width;
    width = width < weak->sessions_n ? width : weak->sessions_n;
    causal->runs = malloc(((size_t)width + 1) * sizeof *causal->runs);
    return causal->runs != NULL && clocks_open(&causal->clocks, weak, (int32_t)width) &&
           sort_by_key(weak, &causal->by_key);
}

static bool do_batches(struct causal *causal)
{
    int32_t sessions_n = causal->weak->sessions_n, width = causal->clocks.width;
    for (causal->clocks.from = 0; causal->clocks.from < sessions_n; causal->clocks.from += width) {
        if (sessions_n - causal->clocks.from < causal->clocks.width)
            causal->clocks.width = sessions_n - causal->clocks.from;
        tick(causal);
        for (int32_t key = 0; key < causal->weak->micro->keys_n; key++)
            if (!demand_key(causal, key))
                return false;
    }
    return true;
}

bool clocks_open(struct clocks *clocks, const struct weak *weak, int32_t width)
{
    size_t columns = (size_t)width + 1;
    size_t operations = weak->options->level == WEAK_CAUSAL ? (size_t)weak->n : 0;
    size_t length = (size_t)weak->session_first[weak->sessions_n];
    clocks->width = width;
    clocks->of = pages_allocate(operations * columns * sizeof *clocks->of);
    clocks->zero = calloc(columns, sizeof *clocks->zero);
    clocks->session_of = malloc((length + 1) * sizeof *clocks->session_of);
    if (clocks->of == NULL || clocks->zero == NULL || clocks->session_of == NULL)
        return false;
    for (int32_t session = 0; session < weak->sessions_n; session++)
        for (int32_t p = weak->session_first[session]; p < weak->session_first[session + 1]; p++)
            clocks->session_of[p] = session;
    return true;
}

void clocks_close(struct clocks *clocks)
{
    free(clocks->of);
    free(clocks->zero);
    free(clocks->session_of);
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
    clocks_close(&causal.clocks);
    void *blocks[] = {causal.order,         causal.runs,         causal.by_key.first_write,
                      causal.by_key.writes, causal.by_key.reads, causal.by_key.first_read};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    return is_fine ? verdict : WEAK_MEMORY;
}
