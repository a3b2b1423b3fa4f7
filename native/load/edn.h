/*
 * edn.h: histories of Jepsen and Knossos, and Porcupine's texts, whose values are EDN.
 *
 * Keywords, symbols and characters become texts; sets and lists become lists; a tagged element is
 * its form. White space is that of ASCII, and the comma.
 *
 * Source: github.com/edn-format/edn; Porcupine, `porcupine_test.go`.
 */
#ifndef DISSEVER_EDN_H
#define DISSEVER_EDN_H

#include "values.h"

enum edn_next { EDN_ERROR, EDN_FORM, EDN_CLOSE, EDN_END };

enum edn_class { EDN_SPACE = 1, EDN_BREAK = 2 };

/* White space, and what else ends an atom. */
static const uint8_t edn_classes[256] = {
    ['\t'] = EDN_SPACE, ['\n'] = EDN_SPACE, ['\v'] = EDN_SPACE, ['\f'] = EDN_SPACE,
    ['\r'] = EDN_SPACE, [0x1c] = EDN_SPACE, [0x1d] = EDN_SPACE, [0x1e] = EDN_SPACE,
    [0x1f] = EDN_SPACE, [' '] = EDN_SPACE,  [','] = EDN_SPACE,  ['"'] = EDN_BREAK,
    [';'] = EDN_BREAK,  ['('] = EDN_BREAK,  [')'] = EDN_BREAK,  ['['] = EDN_BREAK,
    [']'] = EDN_BREAK,  ['{'] = EDN_BREAK,  ['}'] = EDN_BREAK,
};

static inline bool edn_is_space(uint8_t c)
{
    return edn_classes[c] == EDN_SPACE;
}

/* Whether an atom ends before this byte. */
static inline bool edn_is_end(uint8_t c)
{
    return edn_classes[c] != 0;
}

static inline bool edn_is_letter(uint8_t c)
{
    uint8_t low = c | 0x20;
    return low >= 'a' && low <= 'z';
}

static void edn_skip(struct load *l)
{
    while (l->at < l->end) {
        if (edn_is_space(*l->at)) {
            l->at++;
        } else if (*l->at == ';') {
            const uint8_t *newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
            l->at = newline ? newline + 1 : l->end;
        } else {
            return;
        }
    }
}

static int32_t edn_form(struct load *l, int depth);
static int32_t edn_present(struct load *l, int depth);

/* Go to the next form that is not discarded, or to a closing bracket. */
static enum edn_next edn_next(struct load *l, int depth)
{
    for (;;) {
        edn_skip(l);
        if (l->at >= l->end)
            return EDN_END;
        if (*l->at == ']' || *l->at == ')' || *l->at == '}')
            return EDN_CLOSE;
        if (l->end - l->at < 2 || l->at[0] != '#' || l->at[1] != '_')
            return EDN_FORM;
        bool skips = l->skips;
        l->at += 2;
        l->skips = true;
        bool is_read = edn_present(l, depth + 1) >= 0;
        l->skips = skips;
        if (!is_read)
            return EDN_ERROR;
    }
}

static bool edn_fail(struct load *l, const char *expected)
{
    if (l->at >= l->end)
        return fail(l, LOAD_SYNTAX, l->at, "expected %s, the text ends", expected);
    return fail(l, LOAD_SYNTAX, l->at, "expected %s, got '%c'", expected, *l->at);
}

/* Read the next form that is not discarded; returns its id, or -1. */
static int32_t edn_present(struct load *l, int depth)
{
    if (depth > LOAD_DEPTH_MAX) {
        fail(l, LOAD_SYNTAX, l->at, "expected at most %d levels", LOAD_DEPTH_MAX);
        return -1;
    }
    enum edn_next next = edn_next(l, depth);
    if (next == EDN_FORM)
        return edn_form(l, depth);
    if (next != EDN_ERROR)
        edn_fail(l, "a form");
    return -1;
}

/* Whether another form comes before the closing bracket, which is read; false also on an error. */
static bool edn_more(struct load *l, uint8_t closing, const uint8_t *start, int depth)
{
    enum edn_next next = edn_next(l, depth);
    if (next == EDN_FORM || next == EDN_ERROR)
        return next == EDN_FORM;
    if (next == EDN_END)
        return fail(l, LOAD_SYNTAX, start, "'%c' is never closed", *start);
    if (*l->at != closing)
        return fail(l, LOAD_SYNTAX, l->at, "expected '%c', got '%c'", closing, *l->at);
    l->at++;
    return false;
}

/* Push the items of a list, vector or set, after its bracket. */
static bool edn_items(struct load *l, uint8_t closing, const uint8_t *start, int depth)
{
    while (edn_more(l, closing, start, depth + 1)) {
        int32_t item = edn_form(l, depth + 1);
        if (item < 0 || !push(l, item))
            return false;
    }
    return l->loaded.status == LOAD_OK;
}

/* Read a list, vector or set after its bracket. */
static int32_t edn_list(struct load *l, uint8_t closing, const uint8_t *start, int depth)
{
    size_t from = l->stack_n;
    return edn_items(l, closing, start, depth) ? pop_list(l, from) : -1;
}

/* The id of a key of a map as a text, or -1: of a float as it is written, which is `raw`. */
static int32_t edn_key(struct load *l, int32_t key, struct span raw)
{
    char digits[24];
    if (l->skips)
        return 0;
    switch (l->values.tags[key]) {
    case LOAD_TEXT:
        return key;
    case LOAD_INTEGER:
        raw.length = (size_t)snprintf(digits, sizeof digits, "%lld",
                                      (long long)l->values.words[key]);
        return value_of_text(l, (struct span){(const uint8_t *)digits, raw.length});
    case LOAD_LIST: case LOAD_MAP:
        fail(l, LOAD_SYNTAX, raw.at, "expected simple keys in a map");
        return -1;
    default:
        return value_of_text(l, raw);
    }
}

static int32_t edn_map(struct load *l, int depth)
{
    const uint8_t *start = l->at++;
    size_t from = l->stack_n;
    while (edn_more(l, '}', start, depth + 1)) {
        const uint8_t *key_start = l->at;
        int32_t key = edn_form(l, depth + 1);
        if (key < 0)
            return -1;
        key = edn_key(l, key, (struct span){key_start, (size_t)(l->at - key_start)});
        if (key < 0 || !push(l, key))
            return -1;
        if (!edn_more(l, '}', start, depth + 1)) {
            fail(l, LOAD_SYNTAX, start, "a map has a key without a value");
            return -1;
        }
        int32_t value = edn_form(l, depth + 1);
        if (value < 0 || !push(l, value))
            return -1;
    }
    return l->loaded.status == LOAD_OK ? pop_map(l, from) : -1;
}

/* The bytes up to the end of the atom that begins here. */
static struct span edn_atom(struct load *l)
{
    const uint8_t *start = l->at;
    while (l->at < l->end && !edn_is_end(*l->at))
        l->at++;
    return (struct span){start, (size_t)(l->at - start)};
}

static bool edn_hash(struct load *l)
{
    const uint8_t *start = l->at++;
    if (l->at < l->end && edn_is_letter(*l->at)) {
        edn_atom(l);
        return true;
    }
    return fail(l, LOAD_SYNTAX, start, "expected a form, got '#'");
}

static int32_t edn_character(struct load *l)
{
    static const struct {
        const char *name;
        size_t length;
        char character;
    } names[] = {{"newline", 7, '\n'}, {"space", 5, ' '}, {"tab", 3, '\t'}, {"return", 6, '\r'}};
    uint8_t text[4];
    const uint8_t *at = ++l->at;
    size_t left = (size_t)(l->end - at);
    for (int i = 0; i < 4; i++) {
        if (left >= names[i].length && memcmp(at, names[i].name, names[i].length) == 0) {
            l->at += names[i].length;
            return value_of_text(l, (struct span){(const uint8_t *)&names[i].character, 1});
        }
    }
    int32_t code = left >= 5 && *at == 'u' ? hex4(at + 1, l->end) : -1;
    if (code >= 0 && (code < 0xd800 || code > 0xdfff)) {
        l->at += 5;
        return value_of_text(l, (struct span){text, utf8_write(text, (uint32_t)code)});
    }
    if (code >= 0 || !left || (edn_is_space(*at) && *at != ',')) {
        fail(l, LOAD_SYNTAX, at - 1, "expected a character after '\\'");
        return -1;
    }
    l->at += utf8_length(at, left); /* the whole input is UTF-8 */
    return value_of_text(l, (struct span){at, (size_t)(l->at - at)});
}

static size_t edn_digits(struct span text, size_t from)
{
    while (from < text.length && is_digit(text.at[from]))
        from++;
    return from;
}

/* The id of a ratio as a float: both parts are exact as doubles, so their quotient is rounded once. */
static int32_t edn_ratio(struct load *l, struct span text, size_t slash)
{
    struct span over = {text.at, slash}, under = {text.at + slash + 1, text.length - slash - 1};
    double quotient = decimal(over) / decimal(under);
    if (over.length > 15 || under.length > 15 || isinf(quotient) || isnan(quotient)) {
        fail(l, LOAD_SYNTAX, text.at, "expected a ratio of at most 15 digits, not over 0");
        return -1;
    }
    return value_of_double(l, quotient);
}

/* The id of a number that begins with a digit at `from`, or -1. */
static int32_t edn_number(struct load *l, struct span text, size_t from)
{
    if (!is_short_number(l, text))
        return -1;
    size_t i = edn_digits(text, from);
    if (i == text.length || (i + 1 == text.length && text.at[i] == 'N'))
        return value_of_integer(l, (struct span){text.at, i});
    if (text.at[i] == '/' && i + 1 < text.length && edn_digits(text, i + 1) == text.length)
        return edn_ratio(l, text, i);
    if (text.at[i] == '.')
        i = edn_digits(text, i + 1);
    if (i < text.length && (text.at[i] | 0x20) == 'e') {
        size_t sign = i + 1 < text.length && (text.at[i + 1] == '+' || text.at[i + 1] == '-');
        size_t end = edn_digits(text, i + 1 + sign);
        i = end > i + 1 + sign ? end : i;
    }
    size_t length = i;
    i += i < text.length && text.at[i] == 'M';
    if (i == text.length)
        return value_of_double(l, decimal((struct span){text.at, length}));
    if (from)
        return value_of_text(l, text); /* a symbol, such as -1x */
    fail(l, LOAD_SYNTAX, text.at, "expected a number, got '%.*s'", SPAN_SHOWN(text));
    return -1;
}

static int32_t edn_atom_value(struct load *l)
{
    struct span text = edn_atom(l);
    size_t sign = text.at[0] == '-' || text.at[0] == '+';
    if (text.at[0] == ':')
        return value_of_text(l, (struct span){text.at + 1, text.length - 1});
    if (text.length > sign && is_digit(text.at[sign]))
        return edn_number(l, text, sign);
    if (SPAN_IS(text, "nil"))
        return 0;
    if (SPAN_IS(text, "true"))
        return value_of_word(l, LOAD_TRUE, 0);
    if (SPAN_IS(text, "false"))
        return value_of_word(l, LOAD_FALSE, 0);
    return value_of_text(l, text);
}

/* Read the form that begins here; returns its id, or -1. */
static int32_t edn_form(struct load *l, int depth)
{
    struct span text;
    const uint8_t *start = l->at;
    if (depth > LOAD_DEPTH_MAX) {
        fail(l, LOAD_SYNTAX, l->at, "expected at most %d levels", LOAD_DEPTH_MAX);
        return -1;
    }
    switch (*l->at) {
    case '"':
        return string(l, false, &text) ? value_of_text(l, text) : -1;
    case '[':
        l->at++;
        return edn_list(l, ']', start, depth);
    case '(':
        l->at++;
        return edn_list(l, ')', start, depth);
    case '{':
        return edn_map(l, depth);
    case '#':
        if (l->end - l->at > 1 && l->at[1] == '{') {
            l->at += 2;
            return edn_list(l, '}', start, depth);
        }
        return edn_hash(l) ? edn_present(l, depth + 1) : -1;
    case '\\':
        return edn_character(l);
    default:
        return edn_atom_value(l);
    }
}

/* Read a form that must be a text, of any spelling. */
static bool edn_text(struct load *l, const char *expected, struct span *text)
{
    const uint8_t *start = l->at;
    if (*l->at == ':') {
        *text = edn_atom(l);
        *text = (struct span){text->at + 1, text->length - 1};
        return true;
    }
    bool skips = l->skips;
    l->skips = false;
    int32_t id = edn_form(l, 1);
    l->skips = skips;
    if (id < 0)
        return false;
    if (l->values.tags[id] != LOAD_TEXT)
        return fail(l, LOAD_SYNTAX, start, "expected %s", expected);
    *text = (struct span){intern_bytes(&l->values, id), intern_length(&l->values, id)};
    return true;
}

/* Read the name of a field; what is no text is shown as it is written. */
static bool edn_name(struct load *l, struct span *name)
{
    const uint8_t *start = l->at;
    if (*start == ':' || *start == '"' || *start == '\\' || edn_is_letter(*start))
        return edn_text(l, "a text", name);
    if (*start == '[' || *start == '(' || *start == '{')
        return fail(l, LOAD_SYNTAX, start, "expected simple keys in a map");
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
        return fail(l, LOAD_SYNTAX, start, "expected %s", expected);
    *number = *start == '-' ? -(int64_t)digits : (int64_t)digits;
    return true;
}

static bool edn_process(struct load *l, struct event *event)
{
    struct span name;
    if (event->has_process)
        return fail(l, LOAD_SYNTAX, l->at, "an operation has two :process");
    event->is_client = is_digit(*l->at) || *l->at == '-' || *l->at == '+';
    if (event->is_client)
        return edn_integer(l, "a process", &event->has_process, &event->process);
    event->has_process = true;
    return edn_text(l, "a process", &name);
}

static bool edn_type(struct load *l, struct event *event)
{
    struct span name;
    const uint8_t *start = l->at;
    if (!edn_text(l, "a type of operation", &name))
        return false;
    event->type = event_type_of(name);
    return event->type != EVENT_NONE || fail(l, LOAD_SYNTAX, start,
                                             "expected a type of operation, got '%.*s'",
                                             SPAN_SHOWN(name));
}

static bool edn_any(struct load *l, int32_t *id)
{
    *id = edn_form(l, 1);
    return *id >= 0;
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
    if (!edn_text(l, "a text as node", &name))
        return false;
    event->node = name_id(l, &l->nodes_cache, &l->nodes, name, LOAD_NAMES_MAX);
    return event->node >= 0;
}

static bool edn_ignored(struct load *l, struct span name)
{
    int32_t ignored;
    bool skips = l->skips;
    if (!leave_out(l, name))
        return false;
    l->skips = true;
    bool is_read = edn_any(l, &ignored);
    l->skips = skips;
    return is_read;
}

/* Read a value that is [key value], if that is what it is, without making a value of the pair. */
static bool edn_keyed(struct load *l, struct event *event)
{
    const uint8_t *start = l->at;
    size_t from = l->stack_n;
    event->has_pair = false;
    if (*l->at != '[')
        return edn_any(l, &event->value);
    l->at++;
    if (!edn_items(l, ']', start, 1))
        return false;
    event->has_pair = l->stack_n - from == 2;
    if (event->has_pair) {
        event->key = l->stack[from];
        event->value = l->stack[from + 1];
    }
    l->stack_n = from;
    return true;
}

/* Read the value of one field, which begins here. */
static bool edn_field(struct load *l, struct event *event, enum field field)
{
    struct span name;
    int32_t ignored; /* the key is in the value */
    switch (field) {
    case FIELD_INDEX:
        return edn_integer(l, "an integer as :index", &event->has_index, &event->index);
    case FIELD_TIME:
        return edn_integer(l, "an integer as :time", &event->has_time, &event->time);
    case FIELD_PROCESS:
        return edn_process(l, event);
    case FIELD_TYPE:
        return edn_type(l, event);
    case FIELD_F:
        return edn_text(l, "a name as :f", &name) && event_f(l, event, name);
    case FIELD_VALUE:
        return l->keyed ? edn_keyed(l, event) : edn_any(l, &event->value);
    case FIELD_KEY:
        return edn_any(l, l->keyed ? &ignored : &event->key);
    case FIELD_NODE:
        return edn_node(l, event);
    case FIELD_ERROR:
        return edn_any(l, &event->error);
    default:
        return false;
    }
}

/* Read the fields of an event from its brace to its brace. */
static bool edn_fields(struct load *l, struct event *event)
{
    event->at = l->at++;
    while (edn_more(l, '}', event->at, 1)) {
        struct span name;
        l->skips = event->has_process && !event->is_client;
        if (!edn_name(l, &name))
            return false;
        enum field field = field_of(name);
        if (!edn_more(l, '}', event->at, 1))
            return fail(l, LOAD_SYNTAX, event->at, "a map has a key without a value");
        if (!(field == FIELD_OTHER ? edn_ignored(l, name) : edn_field(l, event, field)))
            return false;
    }
    return l->loaded.status == LOAD_OK;
}

static bool edn_event(struct load *l)
{
    struct event event = {.f = -1, .type = EVENT_NONE};
    l->skips = false;
    l->stack_n = 0;
    if (!edn_fields(l, &event))
        return false;
    const char *name = missing(&event);
    if (name)
        return fail(l, LOAD_SYNTAX, event.at, "an operation has no :%s", name);
    if (l->keyed && event.is_client && !event.has_pair)
        return fail(l, LOAD_SYNTAX, event.at, "expected [key value] as :value");
    return record(l, &event);
}

/* Read an event, which may be tagged, or in a vector at the top a number of them. */
static bool edn_top(struct load *l, bool is_item, int depth)
{
    const uint8_t *start = l->at;
    bool is_set = l->end - l->at > 1 && l->at[0] == '#' && l->at[1] == '{';
    if (*l->at == '{')
        return edn_event(l);
    if (*l->at == '#' && !is_set) {
        if (depth > LOAD_DEPTH_MAX)
            return fail(l, LOAD_SYNTAX, l->at, "expected at most %d levels", LOAD_DEPTH_MAX);
        if (!edn_hash(l))
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

static bool edn_forms(struct load *l)
{
    enum edn_next next;
    while ((next = edn_next(l, 0)) == EDN_FORM)
        if (!edn_top(l, false, 0))
            return false;
    return next == EDN_END || (next == EDN_CLOSE && edn_fail(l, "a form"));
}

#endif
