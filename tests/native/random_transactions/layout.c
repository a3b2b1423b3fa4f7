/* layout.c: histories as columns, and as JSON lines; see generate.h. */
#include <string.h>

#include "generate.h"

static bool begins(const struct generate_history *h, int32_t key, const struct generate_micro *m)
{
    return memcmp(h->items + h->longest[key], h->answers + m->start,
                  sizeof(int32_t) * (size_t)m->length) == 0;
}

/* The longest list of each key comes first in `items`. */
static int64_t lay_longest(struct generate_history *h)
{
    int64_t n = 0;
    for (int32_t k = 0; k < h->keys_n; k++) {
        const struct generate_micro *longest = NULL;
        for (int32_t i = 0; i < h->n; i++)
            for (int32_t m = 0; m < h->transactions[i].n; m++) {
                const struct generate_micro *micro = &h->transactions[i].micros[m];
                if (micro->key == k && micro->length >= 0 &&
                    (longest == NULL || micro->length > longest->length))
                    longest = micro;
            }
        h->keys[k] = k + 1;
        h->longest[k] = longest ? n : MICRO_NONE;
        h->longest_length[k] = longest ? longest->length : MICRO_NONE;
        for (int32_t e = 0; longest && e < longest->length; e++)
            h->items[n++] = h->answers[longest->start + e];
    }
    return n;
}

void generate_columns(struct generate_history *h)
{
    int64_t items_n = lay_longest(h), n = 0;
    for (int32_t i = 0; i < h->n; i++) {
        const struct generate_transaction *t = &h->transactions[i];
        h->type[i] = t->type;
        h->process[i] = t->process;
        h->inv[i] = t->inv;
        h->ret[i] = t->ret;
        h->inv_time[i] = t->inv_time;
        h->ret_time[i] = t->ret_time;
        h->first[i] = n;
        for (int32_t m = 0; m < t->n; m++, n++) {
            const struct generate_micro *micro = &t->micros[m];
            h->kind[n] = micro->kind;
            h->key[n] = micro->key;
            h->value[n] = micro->value;
            h->list[n] = micro->length < 0 ? MICRO_NONE : h->longest[micro->key];
            h->length[n] = micro->length;
            if (micro->length < 0 || begins(h, micro->key, micro))
                continue;
            h->list[n] = items_n;
            for (int32_t e = 0; e < micro->length; e++)
                h->items[items_n++] = h->answers[micro->start + e];
        }
    }
    h->first[h->n] = n;
    h->columns = (struct columns){
        .n = h->n, .type = h->type, .process = h->process, .f = h->f, .key = h->zeros,
        .value_in = h->zeros, .value_out = h->zeros, .a = h->zeros, .b = h->zeros, .inv = h->inv,
        .ret = h->ret, .inv_time = h->inv_time, .ret_time = h->ret_time};
    h->micro = (struct micro){
        .operations = h->n, .n = n, .first = h->first, .kind = h->kind, .key = h->key,
        .value = h->value, .list = h->list, .length = h->length, .keys_n = h->keys_n,
        .keys = h->keys, .longest = h->longest, .longest_length = h->longest_length,
        .items_n = items_n, .items = h->items};
}

static void print_event(const struct generate_history *h, const struct generate_transaction *t,
                        int32_t index, int64_t time, const char *type, FILE *file)
{
    static const char *const KINDS[] = {"r", "append", "w"};
    bool is_answered = strcmp(type, "ok") == 0;
    fprintf(file, "{\"index\":%d,\"time\":%lld,\"process\":%d,\"type\":\"%s\",\"f\":\"txn\","
            "\"value\":[", (int)index, (long long)time, (int)t->process, type);
    for (int32_t m = 0; m < t->n; m++) {
        const struct generate_micro *micro = &t->micros[m];
        fprintf(file, "%s[\"%s\",%d,", m ? "," : "", KINDS[micro->kind], (int)micro->key);
        if (micro->kind != MICRO_READ || (is_answered && micro->length < 0 && micro->value > 0)) {
            fprintf(file, "%d]", (int)micro->value);
        } else if (is_answered && micro->length >= 0) {
            fprintf(file, "[");
            for (int32_t e = 0; e < micro->length; e++)
                fprintf(file, "%s%d", e ? "," : "", (int)h->answers[micro->start + e]);
            fprintf(file, "]]");
        } else {
            fprintf(file, "null]");
        }
    }
    fprintf(file, "]}\n");
}

void generate_print(const struct generate_history *h, FILE *file)
{
    static const char *const TYPES[] = {"ok", "fail", "info"};
    int32_t events = 0;
    for (int32_t i = 0; i < h->n; i++)
        events += 2; /* at most */
    for (int32_t event = 0; event < events; event++)
        for (int32_t i = 0; i < h->n; i++) {
            const struct generate_transaction *t = &h->transactions[i];
            if (t->inv == event)
                print_event(h, t, event, t->inv_time, "invoke", file);
            if (t->ret == event)
                print_event(h, t, event, t->ret_time, TYPES[t->type], file);
        }
}
