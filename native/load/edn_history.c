/*
 * edn_history.c: the fields of an event in EDN: histories of Jepsen and Knossos, and Porcupine's
 * texts.
 *
 * Source: Jepsen, `store.clj`; Knossos, `history.clj`; Porcupine, `porcupine_test.go`.
 */
#include "edn.h"
#include "rows.h"

/* Read the name of a field; what is no text is shown as it is written. */
static bool edn_name(struct load *l, struct span *name)
{
    const uint8_t *start = l->at;
    if (*start == ':' || *start == '"' || *start == '\\' || edn_is_letter(*start))
        return edn_text(l, "a text", name);
    int32_t id = edn_form(l, 1);
    *name = (struct span){start, (size_t)(l->at - start)};
    return id >= 0;
}

/* Read nil (has is false) or an integer of 64 bits. */
static bool edn_integer(struct load *l, const char *expected, bool *has, int64_t *number)
{
    const uint8_t *start = l->at, *at = start, *end = l->end;
    uint64_t digits = 0;
    at += *at == '-' || *at == '+';
    const uint8_t *first = at;
    for (; at < end && is_digit(*at) && at - first < 19; at++)
        digits = digits * 10 + (uint64_t)(*at - '0');
    *has = at > first;
    at += *has && at < end && *at == 'N';
    l->at = *has ? at : start + (end - start < 3 ? 0 : 3);
    bool is_known = *has ? digits <= INT64_MAX : l->at > start && memcmp(start, "nil", 3) == 0;
    if (!is_known || (l->at < end && !edn_is_end(*l->at)))
        return load_fail(l, LOAD_SYNTAX, start, "expected %s", expected);
    *number = *start == '-' ? -(int64_t)digits : (int64_t)digits;
    return true;
}

static bool edn_process(struct load *l, struct event *event)
{
    struct span name;
    const uint8_t *start = l->at;
    event->is_client = is_digit(*l->at) || *l->at == '-' || *l->at == '+';
    if (event->is_client) {
        if (!edn_integer(l, "a process", &event->has_process, &event->process))
            return false;
        return event_set_number(l, event, (struct span){start, (size_t)(l->at - start)});
    }
    event->has_process = true;
    return edn_text(l, "an integer or a name as :process", &name) &&
           event_set_named(l, event, name);
}

static bool edn_node(struct load *l, struct event *event)
{
    struct span name;
    const uint8_t *start = l->at;
    if (l->end - l->at >= 3 && memcmp(l->at, "nil", 3) == 0) {
        name = edn_atom(l);
        if (SPAN_IS(name, "nil"))
            return true;
        l->at = start;
    }
    return edn_text(l, "a text as node", &name) && event_set_node(l, event, name);
}

/* Read a value that is [key value], if that is what it is, without making a value of the pair. */
static bool edn_keyed(struct load *l, struct event *event)
{
    const uint8_t *start = l->at;
    size_t from = l->stack_n;
    event->has_pair = false;
    if (*l->at != '[' || (event->has_process && !event->is_client))
        return edn_any(l, &event->value);
    l->at++;
    return edn_items(l, ']', start, 1) && event_pop_pair(l, event, from);
}

/* Read the value of one field, which begins here. */
static bool edn_field(struct load *l, struct event *event, enum field field, struct span name)
{
    struct span text;
    const uint8_t *start = l->at;
    if (!event_begin_field(l, event, field, name))
        return false;
    switch (field) {
    case FIELD_INDEX:
        return edn_integer(l, "an integer as :index", &event->has_index, &event->index);
    case FIELD_TIME:
        return edn_integer(l, "an integer as :time", &event->has_time, &event->time);
    case FIELD_PROCESS:
        return edn_process(l, event);
    case FIELD_TYPE:
        return edn_text(l, "a type of operation", &text) &&
               event_set_type(l, event, start, text);
    case FIELD_F:
        return edn_text(l, "a name as :f", &text) && event_set_f(l, event, text);
    case FIELD_VALUE:
        if (rows_begin(l, event))
            return rows_value(l, event, &edn_notation);
        return l->keyed ? edn_keyed(l, event) : edn_any(l, &event->value);
    case FIELD_KEY:
        return edn_any(l, &event->key);
    case FIELD_NODE:
        return edn_node(l, event);
    case FIELD_ERROR:
        return edn_any(l, &event->error);
    default:
        break;
    }
    if (!event_leave_out(l, name))
        return false;
    l->skips = true;
    bool is_read = edn_form(l, 1) >= 0;
    l->skips = false;
    return is_read;
}

/* Read the fields of an event from its brace to its brace. */
static bool edn_fields(struct load *l, struct event *event)
{
    event->at = l->at++;
    while (edn_more(l, '}', event->at, 1)) {
        struct span name;
        if (!edn_name(l, &name))
            return false;
        enum field field = event_field_of(name);
        if (!edn_more(l, '}', event->at, 1))
            return load_fail(l, LOAD_SYNTAX, event->at, "a map has a key without a value");
        if (!edn_field(l, event, field, name))
            return false;
    }
    return l->loaded.status == LOAD_OK;
}

static bool edn_event(struct load *l)
{
    struct event event = EVENT_EMPTY;
    l->stack_n = 0;
    if (!edn_fields(l, &event))
        return false;
    if (!rows_name(l, &event))
        return false;
    const char *name = event_missing(&event);
    if (name)
        return load_fail(l, LOAD_SYNTAX, event.at,
                         "an operation has no :%s; expected :process, :type, :f and :value", name);
    return (!l->keyed || event_divide(l, &event)) && load_record(l, &event);
}

/* Read the next item of a tuple after blanks; false at its end, or on an error. */
static bool edn_item(struct load *l, const uint8_t *start)
{
    return edn_more(l, ']', start, 1);
}

/* Read an event that is [process type f value]; what follows is left out. */
static bool edn_tuple(struct load *l)
{
    static const char expected[] = "[process :type :f value]";
    struct event event = EVENT_EMPTY;
    struct span text;
    const uint8_t *start = event.at = l->at++;
    l->stack_n = 0;
    if (!edn_item(l, start) || !edn_process(l, &event) || !edn_item(l, start))
        return load_fail(l, LOAD_SYNTAX, start, "expected %s", expected);
    const uint8_t *type = l->at;
    if (!edn_text(l, "a type of operation", &text) || !event_set_type(l, &event, type, text))
        return false;
    if (!edn_item(l, start) || !edn_text(l, "a name as f", &text) ||
        !event_set_f(l, &event, text))
        return load_fail(l, LOAD_SYNTAX, start, "expected %s", expected);
    bool is_open = edn_item(l, start);
    if (is_open && rows_begin(l, &event)) {
        if (!rows_value(l, &event, &edn_notation))
            return false;
    } else if (is_open && !(l->keyed ? edn_keyed(l, &event) : edn_any(l, &event.value)))
        return false;
    while (is_open && edn_item(l, start))
        if (!edn_any(l, &event.error))
            return false;
    if (l->loaded.status != LOAD_OK)
        return false;
    return (!l->keyed || event_divide(l, &event)) && load_record(l, &event);
}

/* Whether the bracket here begins a tuple: an atom comes first, not another bracket. */
static bool edn_is_tuple(const struct load *l)
{
    const uint8_t *at = l->at + 1;
    while (at < l->end && (is_blank(*at) || *at == ','))
        at++;
    bool is_atom = at < l->end && (is_digit(*at) || *at == ':' || *at == '"' || *at == '-');
    return *l->at == '[' && is_atom;
}

/* Read an event, which may be tagged, or in a vector at the top a number of them. */
static bool edn_top(struct load *l, bool is_item, int depth)
{
    const uint8_t *start = l->at;
    bool is_set = l->end - l->at > 1 && l->at[0] == '#' && l->at[1] == '{';
    if (*l->at == '{')
        return edn_event(l);
    if (edn_is_tuple(l))
        return edn_tuple(l);
    if (*l->at == '^') {
        l->skips = true;
        l->at++;
        bool is_read = edn_next(l, depth) == EDN_FORM && edn_form(l, depth + 1) >= 0 &&
                       edn_next(l, depth) == EDN_FORM;
        l->skips = false;
        return is_read ? edn_top(l, is_item, depth + 1) : edn_fail(l, "a form");
    }
    if (*l->at == '#' && !is_set) {
        if (!value_is_shallow(l, depth) || !edn_tag(l))
            return false;
        enum edn_next next = edn_next(l, depth);
        return next == EDN_FORM ? edn_top(l, is_item, depth + 1)
                                : next != EDN_ERROR && edn_fail(l, "a form");
    }
    if (is_item || !(is_set || *l->at == '[' || *l->at == '('))
        return edn_fail(l, "a map");
    uint8_t closing = is_set ? '}' : *l->at == '[' ? ']' : ')';
    l->at += 1 + is_set;
    while (edn_more(l, closing, start, 1))
        if (!edn_top(l, true, 1))
            return false;
    return l->loaded.status == LOAD_OK;
}

bool edn_line(struct load *l)
{
    if (!edn_top(l, true, 0))
        return false;
    return edn_next(l, 0) == EDN_END || edn_fail(l, "the end of the line");
}

bool edn_history(struct load *l)
{
    enum edn_next next;
    while ((next = edn_next(l, 0)) == EDN_FORM) {
        if (!edn_top(l, false, 0))
            return false;
        load_release(l, l->at);
    }
    return next == EDN_END || (next == EDN_CLOSE && edn_fail(l, "a form"));
}
