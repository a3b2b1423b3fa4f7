/*
 * json_history.c: histories in JSON: the fields of an event, and where an event ends.
 */
#include "json.h"
#include "rows.h"

/* Read an integer of 64 bits. */
static bool json_integer(struct load *l, int64_t *number)
{
    struct span text;
    bool is_float;
    uint64_t digits = 0;
    json_blank(l);
    if (l->at >= l->end || (*l->at != '-' && !is_digit(*l->at)))
        return json_fail(l, "an integer");
    const uint8_t *first = l->at + (*l->at == '-'), *at = first;
    for (; at < l->end && at - first < 18 && is_digit(*at); at++)
        digits = digits * 10 + (uint64_t)(*at - '0');
    bool is_whole = at < l->end && !is_digit(*at) && *at != '.' && (*at | 0x20) != 'e';
    if (is_whole && at > first && (*first != '0' || at - first == 1)) { /* as nearly all are */
        *number = *l->at == '-' ? -(int64_t)digits : (int64_t)digits;
        l->at = at;
        return true;
    }
    digits = 0;
    if (!json_number(l, &text, &is_float))
        return false;
    bool is_negative = text.at[0] == '-';
    for (size_t i = is_negative; i < text.length && i < 20; i++)
        digits = digits * 10 + (uint64_t)(text.at[i] - '0');
    if (is_float || text.length - is_negative > 19 || digits > INT64_MAX)
        return load_fail(l, LOAD_SYNTAX, text.at,
                         "expected an integer of 64 bits (times are in ns), got %.*s",
                         SPAN_SHOWN(text));
    *number = is_negative ? -(int64_t)digits : (int64_t)digits;
    return true;
}

/* Read an integer of 64 bits, or null: then there is none. */
static bool json_optional(struct load *l, bool *has, int64_t *number)
{
    *has = l->at >= l->end || *l->at != 'n';
    return *has ? json_integer(l, number) : json_word(l) == 0;
}

static bool json_process(struct load *l, struct event *event)
{
    struct span name;
    const uint8_t *start = l->at;
    event->has_process = true;
    event->is_client = l->at < l->end && (*l->at == '-' || is_digit(*l->at));
    if (event->is_client) {
        bool is_read = json_integer(l, &event->process);
        name = (struct span){start, (size_t)(l->at - start)};
        return is_read && event_set_number(l, event, name);
    }
    return json_text(l, "an integer or a text as process", &name) &&
           event_set_named(l, event, name);
}

static bool json_key(struct load *l, struct event *event)
{
    event->key = json_value(l, 0);
    return event->key >= 0;
}

static bool json_node(struct load *l, struct event *event)
{
    struct span name;
    event->node = 0;
    if (l->at < l->end && *l->at == 'n')
        return json_word(l) == 0;
    return json_text(l, "a text or null as node", &name) && event_set_node(l, event, name);
}

static bool json_any(struct load *l, int32_t *id)
{
    *id = json_value(l, 0);
    return *id >= 0;
}

/* Check a value and make none of it. */
static bool json_skipped(struct load *l)
{
    int32_t ignored;
    l->skips = true;
    bool is_read = json_any(l, &ignored);
    l->skips = false;
    return is_read;
}

/* Read a value or an error; one of a nemesis is kept as it is written, since nobody compares it. */
static bool json_content(struct load *l, const struct event *event, int32_t *id)
{
    if (!event->has_process || event->is_client)
        return json_any(l, id);
    const uint8_t *start = l->at;
    if (!json_skipped(l))
        return false;
    *id = value_of_json(l, (struct span){start, (size_t)(l->at - start)});
    return *id >= 0;
}

/* Read a value that is [key value], if that is what it is, without making a value of the pair. */
static bool json_keyed(struct load *l, struct event *event)
{
    size_t from = l->stack_n;
    event->has_pair = false;
    if (l->at >= l->end || *l->at != '[' || (event->has_process && !event->is_client))
        return json_content(l, event, &event->value);
    return json_items(l, ']', 0) && event_pop_pair(l, event, from);
}

/* Read the value of one field. */
static bool json_field(struct load *l, struct event *event, struct span name)
{
    struct span text;
    json_blank(l);
    const uint8_t *start = l->at;
    enum field field = event_field_of(name);
    if (!event_begin_field(l, event, field, name))
        return false;
    switch (field) {
    case FIELD_INDEX:
        return json_optional(l, &event->has_index, &event->index);
    case FIELD_TIME:
        return json_optional(l, &event->has_time, &event->time);
    case FIELD_PROCESS:
        return json_process(l, event);
    case FIELD_TYPE:
        return json_text(l, "a type", &text) && event_set_type(l, event, start, text);
    case FIELD_F:
        return json_text(l, "a text as f", &text) && event_set_f(l, event, text);
    case FIELD_VALUE:
        if (rows_begin(l, event))
            return rows_value(l, event, &json_notation);
        return l->keyed ? json_keyed(l, event) : json_content(l, event, &event->value);
    case FIELD_KEY:
        return json_key(l, event);
    case FIELD_NODE:
        return json_node(l, event);
    case FIELD_ERROR:
        return json_content(l, event, &event->error);
    default:
        return event_leave_out(l, name) && json_skipped(l);
    }
}

/* Read the object of an event, from its brace to its brace. */
static bool json_event(struct load *l, struct event *event)
{
    if (!json_byte(l, '{', "an object"))
        return false;
    event->at = l->at - 1;
    json_blank(l);
    bool is_empty = l->at < l->end && *l->at == '}';
    while (!is_empty) {
        struct span name;
        if (!json_text(l, "a field", &name))
            return false;
        if (!json_byte(l, ':', "':'") || !json_field(l, event, name))
            return false;
        json_blank(l);
        if (l->at >= l->end || *l->at != ',')
            break;
        l->at++;
    }
    return json_byte(l, '}', "',' or '}'");
}

static bool json_record(struct load *l, struct event *event)
{
    if (!rows_name(l, event))
        return false;
    const char *name = event_missing(event);
    if (name)
        return load_fail(l, LOAD_SYNTAX, event->at,
                         "an event has no %s; expected process, type, f and value", name);
    l->is_whole = true;
    return (!l->keyed || event_divide(l, event)) && load_record(l, event);
}

bool json_line(struct load *l)
{
    struct event event = EVENT_EMPTY;
    l->stack_n = 0;
    if (!json_event(l, &event))
        return false;
    json_blank(l);
    if (l->at < l->end && *l->at == ',') { /* lines that were items of an array */
        l->at++;
        json_blank(l);
    }
    if (l->at < l->end)
        return json_fail(l, "the end of the line");
    return json_record(l, &event);
}

/* The end of the text between quotes that begins here, after its quote. */
static const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\' && end - at > 1;
    return at < end ? at + 1 : end;
}

/* Where the object that begins here is closed in its line, or where the line ends: `closed` says
 * which. */
static const uint8_t *object_end(const uint8_t *at, const uint8_t *end, bool *closed)
{
    int64_t depth = 0;
    *closed = false;
    while (at < end && *at != '\n') {
        if (*at == '"') {
            at = string_end(at, end);
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
        if (!depth) {
            *closed = true;
            break;
        }
    }
    return at;
}

/* Forget an error in the last line when it is cut off: it has no newline, and is never closed. */
static bool json_cut(struct load *l, const uint8_t *line, const uint8_t *file_end)
{
    bool is_closed;
    object_end(line, file_end, &is_closed);
    if (l->end != file_end || is_closed || l->is_whole || l->loaded.status != LOAD_SYNTAX)
        return false;
    l->loaded.status = LOAD_OK;
    l->loaded.cut_line = l->loaded.line;
    l->loaded.line = l->loaded.column = 0;
    l->message[0] = 0;
    return true;
}

bool speaks_of(const uint8_t *at, const uint8_t *end, const char *word)
{
    size_t length = strlen(word);
    for (; (size_t)(end - at) >= length; at++)
        if (memcmp(at, word, length) == 0)
            return true;
    return false;
}

bool json_lines(struct load *l)
{
    const uint8_t *file_end = l->end;
    const uint8_t *valid_end = load_utf8_end(l);
    uint64_t number = 1;
    for (; l->at < file_end; l->at = l->end + (l->end < file_end), number++) {
        const uint8_t *newline = memchr(l->at, '\n', (size_t)(file_end - l->at));
        l->end = newline ? newline : file_end;
        json_blank(l);
        if (l->at == l->end)
            continue;
        const uint8_t *line = l->at;
        l->is_whole = false;
        if (*l->at != '{' && !speaks_of(l->at, l->end, "process")) {
            if (!l->loaded.other_lines++)
                l->loaded.other_line = number;
            continue;
        }
        bool is_read = l->end <= valid_end ? json_line(l)
                                           : load_fail(l, LOAD_SYNTAX, valid_end, "expected UTF-8");
        if (!is_read)
            return json_cut(l, line, file_end);
        load_release(l, l->at);
    }
    return true;
}

bool json_is_object(const uint8_t *at, const uint8_t *end)
{
    for (at++; at < end && is_blank(*at); at++)
        continue;
    if (at < end && *at == '}')
        return true;
    if (at == end || *at != '"')
        return false;
    for (at = string_end(at, end); at < end && is_blank(*at); at++)
        continue;
    return at == end || *at == ':';
}

bool json_is_pretty(const uint8_t *at, const uint8_t *end)
{
    bool is_closed;
    return object_end(at, end, &is_closed) < end && !is_closed;
}

bool json_is_nested(const uint8_t *at, const uint8_t *end)
{
    bool is_closed;
    at = object_end(at, end, &is_closed);
    return is_closed && at < end && strchr(")]}", *at);
}

bool json_whole(struct load *l)
{
    bool is_array = l->loaded.format == LOAD_JSON_ARRAY, is_last = false;
    if (is_array && !json_byte(l, '[', "'['"))
        return false;
    while (!is_last) {
        struct event event = EVENT_EMPTY;
        l->stack_n = 0;
        if (!json_event(l, &event) || !json_record(l, &event))
            return false;
        json_blank(l);
        is_last = l->at >= l->end || (is_array && *l->at != ',');
        l->at += !is_last && *l->at == ',';
    }
    if (is_array && !json_byte(l, ']', "',' or ']'"))
        return false;
    json_blank(l);
    return l->at == l->end || json_fail(l, "the end of the text");
}
