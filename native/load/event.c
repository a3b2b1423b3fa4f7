/*
 * event.c: names, values that are pairs, and what an event lacks.
 */
#include "event.h"

#include "values.h"

int32_t event_name_slowly(struct load *l, struct intern *names, struct span text,
                          int32_t count_max)
{
    if (text.length > LOAD_TEXT_BYTES_MAX) {
        load_fail(l, LOAD_SYNTAX, l->at, "expected a name of at most %d bytes",
                  LOAD_TEXT_BYTES_MAX);
        return -1;
    }
    int32_t id = intern_data(names, LOAD_TEXT, text.at, text.length);
    if (id < 0)
        load_no_memory(l);
    if (id >= count_max)
        load_fail(l, LOAD_SYNTAX, l->at, "expected at most %d names", count_max);
    return id >= count_max ? -1 : id;
}

bool event_leave_out(struct load *l, struct span name)
{
    static const char rest[] = "(others)";
    if (l->fields.n >= LOAD_FIELDS_MAX || name.length > 100)
        name = (struct span){(const uint8_t *)rest, sizeof rest - 1};
    int32_t id = event_name_slowly(l, &l->fields, name, LOAD_FIELDS_MAX + 1);
    if (id >= 0)
        l->field_counts[id]++;
    return id >= 0;
}

bool event_pop_pair(struct load *l, struct event *event, size_t from)
{
    event->has_pair = l->stack_n - from == 2;
    if (!event->has_pair) {
        event->value = value_pop_list(l, from);
        return event->value >= 0;
    }
    event->pair_key = l->stack[from];
    event->pair_value = l->stack[from + 1];
    l->stack_n = from;
    return true;
}

bool event_divide(struct load *l, struct event *event)
{
    if (event->is_client && !event->has_pair)
        return load_fail(l, LOAD_SYNTAX, event->at, "expected [key value] as the value");
    if (event->is_client) {
        event->key = event->pair_key;
        event->value = event->pair_value;
        return true;
    }
    size_t from = l->stack_n;
    if (!event->has_pair)
        return true;
    if (!value_push(l, event->pair_key) || !value_push(l, event->pair_value))
        return false;
    event->value = value_pop_list(l, from);
    return event->value >= 0;
}

const char *event_missing(const struct event *event)
{
    if (!event->has_process)
        return "process";
    if (event->type == EVENT_NONE)
        return "type";
    return event->f < 0 ? "f" : NULL;
}
