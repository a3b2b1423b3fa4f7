/* See trace.h. Times are those of the simulation: the harness adds where its run began. */
#include "trace.h"

#include "simulation.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024, TEXT_MAX = 200, LINES_MAX = 200000 };

#define LLU(value) ((unsigned long long)(value))

static void line(struct simulation *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct simulation *s, const char *format, ...)
{
    if (s->trace.lines == LINES_MAX)
        return;
    char text[LINE_MAX_BYTES];
    int size = snprintf(text, sizeof text, "{\"time\":%llu, ", LLU(s->now_ns));
    va_list arguments;
    va_start(arguments, format);
    size += vsnprintf(text + size, sizeof text - (size_t)size, format, arguments);
    va_end(arguments);
    if ((size_t)size >= sizeof text)
        return; /* No line is that long: texts are cut. */
    if (++s->trace.lines == LINES_MAX)
        size = snprintf(text, sizeof text,
                        "{\"time\":%llu, \"kind\": \"note\", \"node\": null, \"text\": \"the trace "
                        "ends here, at its limit of %d lines\"}",
                        LLU(s->now_ns), LINES_MAX);
    struct output *output = &s->output;
    frame_begin(output, FRAME_TRACE);
    put_u64(output, s->now_ns);
    put_blob(output, text, (size_t)size);
    frame_end(output);
}

void trace_plain(char *to, size_t size, const char *text)
{
    size_t i = 0;
    for (; text[i] && i + 1 < size; i++)
        to[i] = text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\' ? '?' : text[i];
    to[i] = 0;
}

/* --- Messages --- */

const char *message_name(const struct raft_message *message)
{
    static const char *const names[] = {
        "?", "AppendEntries", "AppendEntriesResult", "RequestVote", "RequestVoteResult",
        "InstallSnapshot", "TimeoutNow"};
    return message->type < sizeof names / sizeof *names ? names[message->type] : "?";
}

uint64_t message_term(const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        return message->append_entries.term;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        return message->append_entries_result.term;
    case RAFT_IO_REQUEST_VOTE:
        return message->request_vote.term;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        return message->request_vote_result.term;
    case RAFT_IO_INSTALL_SNAPSHOT:
        return message->install_snapshot.term;
    case RAFT_IO_TIMEOUT_NOW:
        return message->timeout_now.term;
    default:
        return 0;
    }
}

static void describe_entries(char *text, size_t size, const struct raft_append_entries *append)
{
    unsigned long long previous = append->prev_log_index, count = append->n_entries;
    unsigned long long term = append->prev_log_term, commit = append->leader_commit;
    if (count == 0)
        snprintf(text, size, "no entries after %llu/%llu, commit %llu", previous, term, commit);
    else if (count == 1)
        snprintf(text, size, "entry %llu after %llu/%llu, commit %llu", previous + 1, previous, term,
                 commit);
    else
        snprintf(text, size, "entries %llu-%llu after %llu/%llu, commit %llu", previous + 1,
                 previous + count, previous, term, commit);
}

static void describe(char *text, size_t size, const struct raft_message *message)
{
    text[0] = 0;
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        describe_entries(text, size, &message->append_entries);
        break;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        if (message->append_entries_result.rejected)
            snprintf(text, size, "refuses %llu, its log ends at %llu",
                     LLU(message->append_entries_result.rejected),
                     LLU(message->append_entries_result.last_log_index));
        else
            snprintf(text, size, "stored up to %llu",
                     LLU(message->append_entries_result.last_log_index));
        break;
    case RAFT_IO_REQUEST_VOTE:
        snprintf(text, size, "%slog ends at %llu/%llu",
                 message->request_vote.pre_vote ? "would it, " : "",
                 LLU(message->request_vote.last_log_index), LLU(message->request_vote.last_log_term));
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        snprintf(text, size, message->request_vote_result.vote_granted ? "yes" : "no");
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        snprintf(text, size, "snapshot of %llu/%llu", LLU(message->install_snapshot.last_index),
                 LLU(message->install_snapshot.last_term));
        break;
    default:
        break;
    }
}

uint64_t trace_send(struct simulation *s, unsigned source, unsigned destination,
                    const struct raft_message *message)
{
    uint64_t id = ++s->trace.messages;
    if (!s->trace.is_on)
        return id;
    char text[TEXT_MAX];
    describe(text, sizeof text, message);
    line(s,
         "\"kind\": \"send\", \"id\": %llu, \"from\": \"n%u\", \"to\": \"n%u\", \"what\": \"%s\", "
         "\"term\": %llu, \"text\": \"%s\"}",
         LLU(id), source + 1, destination + 1, message_name(message), LLU(message_term(message)), text);
    return id;
}

void trace_receive(struct simulation *s, uint64_t id)
{
    if (s->trace.is_on)
        line(s, "\"kind\": \"receive\", \"id\": %llu}", LLU(id));
}

void trace_lost(struct simulation *s, uint64_t id, const char *why)
{
    if (s->trace.is_on)
        line(s, "\"kind\": \"lost\", \"id\": %llu, \"why\": \"%s\"}", LLU(id), why);
}

/* --- Servers --- */

static void put_id(struct simulation *s, char *text, size_t size, uint64_t id)
{
    const struct server *server = server_of_id(s, id);
    if (server)
        snprintf(text, size, "\"n%u\"", server->number + 1);
    else
        snprintf(text, size, "null");
}

void trace_server(struct server *server)
{
    static const char *const roles[] = {"none", "follower", "candidate", "leader"};
    struct simulation *s = server->simulation;
    struct seen *last = &s->trace.seen[server->number], now = {.is_known = true};
    if (!s->trace.is_on)
        return;
    if (server->is_started) {
        struct raft *raft = &server->process->raft;
        now.role = (unsigned)raft_state(raft) & 3;
        now.leader = server_leader(server);
        now.last = raft_last_index(raft);
        now.stored = raft->last_stored;
        now.commit = raft->commit_index;
        now.applied = raft->last_applied;
    } else {
        now.last = now.stored = disk_last(&server->disk);
    }
    now.term = server->disk.term;
    now.vote = server->disk.vote;
    now.first = server->disk.first;
    now.snapshot = server->disk.snapshot ? server->disk.snapshot->index : 0;
    if (!memcmp(&now, last, sizeof now))
        return;
    *last = now;
    char vote[24], leader[24];
    put_id(s, vote, sizeof vote, now.vote);
    put_id(s, leader, sizeof leader, now.leader);
    line(s,
         "\"kind\": \"server\", \"node\": \"n%u\", \"role\": \"%s\", \"term\": %llu, \"vote\": %s, "
         "\"leader\": %s, \"first\": %llu, \"last\": %llu, \"stored\": %llu, \"commit\": %llu, "
         "\"applied\": %llu, \"snapshot\": %llu}",
         server->number + 1, roles[now.role], LLU(now.term), vote, leader, LLU(now.first), LLU(now.last),
         LLU(now.stored), LLU(now.commit), LLU(now.applied), LLU(now.snapshot));
}

void trace_synced(struct server *server, uint64_t to)
{
    if (server->simulation->trace.is_on)
        line(server->simulation, "\"kind\": \"synced\", \"node\": \"n%u\", \"to\": %llu}",
             server->number + 1, LLU(to));
}

void trace_unsynced(struct server *server, uint64_t lost, uint64_t kept, const char *why)
{
    if (server->simulation->trace.is_on)
        line(server->simulation,
             "\"kind\": \"unsynced\", \"node\": \"n%u\", \"lost\": %llu, \"kept\": %llu, \"why\": \"%s\"}",
             server->number + 1, LLU(lost), LLU(kept), why);
}

void trace_snapshot(struct server *server, uint64_t index, const char *how)
{
    if (server->simulation->trace.is_on)
        line(server->simulation,
             "\"kind\": \"snapshot\", \"node\": \"n%u\", \"index\": %llu, \"how\": \"%s\"}",
             server->number + 1, LLU(index), how);
}

void trace_note(struct simulation *s, const struct server *server, const char *text)
{
    if (!s->trace.is_on)
        return;
    char words[TEXT_MAX], node[24] = "null";
    trace_plain(words, sizeof words, text);
    if (server)
        put_id(s, node, sizeof node, server->raft_id);
    line(s, "\"kind\": \"note\", \"node\": %s, \"text\": \"%s\"}", node, words);
}
