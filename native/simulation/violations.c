/* See invariants.h: a violation, said with what the logs around it hold. */
#define _POSIX_C_SOURCE 200809L
#include "invariants.h"

#include "service.h"
#include "simulation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 400, COMMAND_MAX = 80, NEIGHBOURS = 3 };

static const char *const NAMES[INVARIANTS] = {
    [ELECTION_SAFETY] = "election-safety",
    [LEADER_COMPLETENESS] = "leader-completeness",
    [LOG_MATCHING] = "log-matching",
    [STATE_MACHINE_SAFETY] = "state-machine-safety",
    [DURABILITY] = "durability",
    [COMMIT_GOES_BACK] = "commit-goes-back",
    [TERM_NOT_STORED] = "term-not-stored",
    [VOTE_NOT_STORED] = "vote-not-stored",
    [STORED_INDEX] = "stored-index",
    [SNAPSHOT_DIFFERS] = "snapshot-differs",
    [MEMORY_SAFETY] = "memory-safety",
    [SEND_TO_NOBODY] = "send-to-nobody",
};

static void write_entry(FILE *to, const struct entry *entry, uint64_t index)
{
    char command[COMMAND_MAX] = "", plain[COMMAND_MAX];
    if (entry->type == RAFT_COMMAND && service.describe)
        service.describe(entry->data->data, entry->data->size, command, sizeof command);
    else if (entry->type != RAFT_COMMAND)
        snprintf(command, sizeof command, entry->type == RAFT_CHANGE ? "members" : "barrier");
    trace_plain(plain, sizeof plain, command);
    fprintf(to, "[%llu, %llu, \"%s\"]", (unsigned long long)index, (unsigned long long)entry->term, plain);
}

static void write_log(FILE *to, const struct server *server, uint64_t index)
{
    const char *between = "";
    uint64_t first = index > NEIGHBOURS ? index - NEIGHBOURS : 1;
    fprintf(to, "\"n%u\": [", server->number + 1);
    for (uint64_t i = first; i <= index + NEIGHBOURS; i++) {
        const struct entry *entry = disk_entry_written(&server->disk, i);
        if (!entry)
            continue;
        fputs(between, to);
        write_entry(to, entry, i);
        between = ", ";
    }
    fputs("]", to);
}

/* The accused server, and those whose entry at the index is another one. */
static void write_nodes(FILE *to, const struct server *accused, uint64_t index)
{
    const struct simulation *s = accused->simulation;
    const struct entry *own = disk_entry_written(&accused->disk, index);
    fprintf(to, "\"nodes\": [\"n%u\"", accused->number + 1);
    for (unsigned i = 0; i < s->count; i++) {
        const struct entry *entry = disk_entry_written(&s->servers[i].disk, index);
        if (i != accused->number && entry && own && entry->digest != own->digest)
            fprintf(to, ", \"n%u\"", i + 1);
    }
    fputs("]", to);
}

/* More fields of the line in simulation.jsonl, as a JSON object; empty without an index. */
static void put_details(struct output *output, const struct server *accused, uint64_t index)
{
    const struct simulation *s = accused->simulation;
    char *text = NULL;
    size_t size = 0;
    FILE *to = index ? open_memstream(&text, &size) : NULL;
    if (to) {
        fprintf(to, "{\"index\": %llu, ", (unsigned long long)index);
        write_nodes(to, accused, index);
        fputs(", \"logs\": {", to);
        for (unsigned i = 0; i < s->count; i++) {
            fputs(i ? ", " : "", to);
            write_log(to, &s->servers[i], index);
        }
        fputs("}}", to);
        fclose(to);
    }
    put_blob(output, text ? text : "", size);
    free(text);
}

static void say_broken(struct server *server, enum invariant invariant, uint64_t index,
                       const char *format, va_list arguments)
{
    struct invariants *known = &server->simulation->invariants;
    char text[TEXT_MAX];
    known->violations++;
    if (known->said[server->number] & ((uint64_t)1 << invariant))
        return;
    known->said[server->number] |= (uint64_t)1 << invariant;
    vsnprintf(text, sizeof text, format, arguments);
    struct output *output = say(server->simulation, FRAME_VIOLATION);
    put_text(output, NAMES[invariant]);
    put_u8(output, server->number);
    put_text(output, text);
    put_details(output, server, index);
    frame_end(output);
}

void invariant_broken(struct server *server, enum invariant invariant, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_broken(server, invariant, 0, format, arguments);
    va_end(arguments);
}

void invariant_broken_at(struct server *server, enum invariant invariant, uint64_t index,
                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_broken(server, invariant, index, format, arguments);
    va_end(arguments);
}
