/*
 * formats.c: which format it is, and the columns that were read.
 *
 * json.c, edn_history.c and etcd.c read events; record.c makes columns of them; intern.c numbers
 * values.
 */
#include <stdlib.h>

#include "record.h"

static bool is_json_lines(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at == end || (end - at > 1 && at[0] == '{' && (at[1] == '"' || at[1] == '}'));
}

static enum load_format format_of(const uint8_t *at, const uint8_t *end)
{
    if (is_json_lines(at, end))
        return LOAD_JSON_LINES;
    if (json_is_array(at, end))
        return LOAD_JSON_ARRAY;
    return etcd_is_log(at, end) ? LOAD_ETCD_LOG : LOAD_EDN;
}

static bool read_events(struct load *l)
{
    enum load_format format = format_of(l->begin, l->end);
    l->loaded.format = (int32_t)format;
    if (format == LOAD_JSON_LINES)
        return json_lines(l);
    const uint8_t *valid_end = utf8_end(l->begin, l->end);
    if (valid_end != l->end)
        return load_fail(l, LOAD_SYNTAX, valid_end, "expected UTF-8");
    if (format == LOAD_JSON_ARRAY)
        return json_array(l);
    return format == LOAD_ETCD_LOG ? etcd_lines(l) : edn_history(l);
}

static bool prepare(struct load *l, uint64_t seed)
{
    l->values.seed = l->fs.seed = l->nodes.seed = l->fields.seed = l->keys.seed = seed;
    l->processes.seed = seed;
    l->clients.seed = seed;
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

/* Read once. `first` is a reading before this one, whose `clients` are taken over, or NULL. */
static struct load *read_once(const uint8_t *data, size_t size, bool keyed, uint64_t seed,
                              struct load *first)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->begin = l->at = data;
    l->end = data + size;
    l->keyed = keyed;
    l->loaded.message = l->message;
    l->loaded.index = l->loaded.misnumbered = -1;
    l->last_index = -1;
    l->last_process = INT64_MIN;
    if (first) {
        l->clients = first->clients;
        l->clients_first = record_processes_end(first);
        first->clients = (struct intern){0};
    }
    if (!prepare(l, seed) || !record_resize(l, 64))
        load_no_memory(l);
    else if (read_events(l) && record_finish(l))
        record_resize(l, l->n ? (size_t)l->n : 1);
    return l;
}

/* Which processes with a name are clients is known only at the end, so these are read again. */
struct loaded *load_open(const uint8_t *data, size_t size, int32_t keyed, uint64_t seed)
{
    struct load *l = read_once(data, size, keyed != 0, seed, NULL);
    if (l && l->loaded.status == LOAD_OK && record_find_clients(l) && l->clients.n) {
        struct load *again = read_once(data, size, keyed != 0, seed, l);
        load_close(&l->loaded);
        l = again;
    }
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
    free(l);
}
