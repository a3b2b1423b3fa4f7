/*
 * formats.c: which format it is, and the columns that were read.
 *
 * json.c, edn_history.c and log.c read events; record.c makes columns of them; intern.c numbers
 * values.
 */
#include <stdlib.h>

#include "rows.h"

/* What begins here after blanks and comments of EDN, of which a log has none. */
static const uint8_t *beginning(const uint8_t *at, const uint8_t *end)
{
    at = skip_blank(at, end);
    while (at < end && *at == ';') {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        at = skip_blank(newline ? newline : end, end);
    }
    return at;
}

/* Whether a bracket begins a vector: of forms, or a tuple such as [0 :invoke :read nil]. */
static bool is_vector(const uint8_t *at, const uint8_t *end)
{
    at = beginning(at + 1, end);
    if (at == end || strchr("{[(#^]", *at))
        return true;
    while (at < end && !is_blank(*at) && *at != ',')
        at++;
    at = skip_blank(at, end);
    return at < end && *at == ':';
}

static enum load_format format_of(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *first = skip_blank(at, end);
    at = beginning(at, end);
    if (at == end)
        return skip_blank(at, end) == end ? LOAD_JSON_LINES : LOAD_EDN;
    if (sessions_are_text(first, end))
        return LOAD_DBCOP_TEXT;
    if (sessions_are_lines(at, end))
        return LOAD_PLUME;
    if ((*at == '[' || *at == '{') && sessions_are_json(at, end))
        return LOAD_DBCOP_JSON;
    const uint8_t *inside = skip_blank(at + 1, end);
    switch (*at) {
    case '{':
        if (!json_is_object(at, end))
            return LOAD_EDN;
        return json_is_pretty(at, end) ? LOAD_JSON_OBJECTS : LOAD_JSON_LINES;
    case '[':
        if (inside < end && *inside == '{' && json_is_object(inside, end))
            return LOAD_JSON_ARRAY;
        return is_vector(at, end) ? LOAD_EDN : LOAD_LOG;
    case '#':
        return end - at > 1 && !is_blank(at[1]) ? LOAD_EDN : LOAD_LOG;
    case '(': case '^':
        return LOAD_EDN;
    default:
        return LOAD_LOG;
    }
}

/* Why bytes that are no UTF-8 are none, in words that help. */
static bool no_utf8(struct load *l, const uint8_t *at)
{
    bool is_utf16 = l->end - l->begin > 1 && (l->begin[0] ^ l->begin[1]) == 1 &&
                    (l->begin[0] & 0xfe) == 0xfe;
    return load_fail(l, LOAD_SYNTAX, at, is_utf16 ? "expected UTF-8, got UTF-16; convert the file"
                                                  : "expected UTF-8");
}

static bool read_events(struct load *l)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* of the order of bytes, in UTF-8 */
    if (l->end - l->at >= 3 && memcmp(l->at, mark, sizeof mark) == 0)
        l->at += sizeof mark;
    enum load_format format = format_of(l->at, l->end);
    l->loaded.format = (int32_t)format;
    if (format == LOAD_JSON_LINES)
        return json_lines(l);
    const uint8_t *valid_end = load_utf8_end(l);
    if (valid_end != l->end && (format != LOAD_LOG || valid_end == l->begin))
        return no_utf8(l, valid_end);
    if (format >= LOAD_DBCOP_JSON) {
        l->loaded.timeless = true;
        l->rows.mode = LOAD_TRANSACTIONS;
        return format == LOAD_DBCOP_JSON   ? sessions_json(l)
               : format == LOAD_DBCOP_TEXT ? sessions_text(l)
                                           : sessions_lines(l);
    }
    if (format == LOAD_LOG)
        return log_lines(l);
    return format == LOAD_EDN ? edn_history(l) : json_whole(l);
}

static bool prepare(struct load *l, uint64_t seed)
{
    l->values.seed = l->fs.seed = l->nodes.seed = l->fields.seed = l->keys.seed = seed;
    l->processes.seed = seed;
    l->clients.seed = seed;
    l->rows.keys.seed = l->rows.ended.seed = seed;
    l->field_counts = calloc(LOAD_FIELDS_MAX + 1, sizeof *l->field_counts);
    return l->field_counts && intern_word(&l->values, LOAD_NIL, 0) == 0 &&
           intern_word(&l->nodes, LOAD_NIL, 0) == 0 &&
           intern_word(&l->keys, LOAD_INTEGER, 0) == 0;
}

#define PUBLISH(item, column) l->loaded.columns.column = l->column;

static void publish(struct load *l)
{
    LOAD_COLUMNS(PUBLISH)
    l->loaded.columns.n = l->n;
    l->loaded.node = l->node;
    l->loaded.values = intern_view(&l->values);
    l->loaded.fs = intern_view(&l->fs);
    l->loaded.nodes = intern_view(&l->nodes);
    l->loaded.fields = intern_view(&l->fields);
    l->loaded.clients = intern_view(&l->clients);
    l->loaded.clients_first = l->clients_first;
    l->loaded.keys = intern_view(&l->keys);
    l->loaded.field_counts = l->field_counts;
    l->loaded.details = l->details;
    l->loaded.details_n = (int32_t)l->details_n;
    l->loaded.nemesis_events = l->nemesis_events;
    l->loaded.nemesis_events_n = (int32_t)l->nemesis_events_n;
}

/* What the caller gave. */
struct input {
    const uint8_t *data;
    size_t size;
    bool is_mapped, keyed;
    uint64_t seed;
};

/* What one reading finds out for the next: processes with a name that are clients. */
struct found {
    struct intern clients;
    int64_t clients_first; /* the number of the first of them */
};

/* Read once. Takes what was found. */
static struct load *read_once(const struct input *input, int32_t transactions, struct found *found)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->begin = l->at = input->data;
    l->end = input->data + input->size;
    l->released = input->is_mapped ? l->begin : NULL;
    l->keyed = input->keyed;
    l->rows.mode = l->rows.asked = l->keyed ? LOAD_NO_TRANSACTIONS : transactions;
    l->loaded.message = l->message;
    l->loaded.index = l->loaded.misnumbered = -1;
    l->last_index = -1;
    l->last_process = INT64_MIN;
    l->clients = found->clients;
    l->clients_first = found->clients_first;
    found->clients = (struct intern){0};
    if (!prepare(l, input->seed) || !record_resize(l, 64))
        load_no_memory(l);
    else if (read_events(l) && record_finish(l) && rows_finish(l))
        record_resize(l, l->n ? (size_t)l->n : 1);
    return l;
}

/* Read; and again as an ordinary history what only looked like transactions. */
static struct load *read_any(const struct input *input, int32_t transactions, struct found *found)
{
    struct load *l = read_once(input, transactions, found);
    if (!l || !l->rows.is_refused || l->rows.asked != LOAD_ANY_TRANSACTIONS)
        return l;
    *found = (struct found){l->clients, l->clients_first};
    l->clients = (struct intern){0};
    load_close(&l->loaded);
    return read_once(input, LOAD_NO_TRANSACTIONS, found);
}

/* Which processes with a name are clients is known only at the end, so these are read again. */
struct loaded *load_open(const uint8_t *data, size_t size, int32_t is_mapped, int32_t keyed,
                         int32_t transactions, uint64_t seed)
{
    struct found found = {0};
    struct input input = {data, size, is_mapped != 0, keyed != 0, seed};
    struct load *l = read_any(&input, transactions, &found);
    if (l && l->loaded.status == LOAD_OK && record_find_clients(l) && l->clients.n) {
        found = (struct found){l->clients, record_processes_end(l)};
        l->clients = (struct intern){0};
        load_close(&l->loaded);
        l = read_any(&input, transactions, &found);
    }
    intern_free(&found.clients); /* only if there was no memory for a reading */
    if (l)
        publish(l);
    return l ? &l->loaded : NULL;
}

#define FREE(item, column) free(l->column);

void load_close(struct loaded *loaded)
{
    struct load *l = (struct load *)loaded;
    if (!l)
        return;
    intern_free(&l->values);
    intern_free(&l->fs);
    intern_free(&l->nodes);
    intern_free(&l->fields);
    intern_free(&l->keys);
    free(l->field_counts);
    free(l->text);
    free(l->stack);
    intern_free(&l->clients);
    intern_free(&l->processes);
    free(l->open);
    free(l->aliases);
    LOAD_COLUMNS(FREE)
    free(l->node);
    free(l->details);
    free(l->nemesis_events);
    rows_free(l);
    free(l);
}
