/* See invariants.h. */
#include "invariants.h"

#include "simulation.h"

#include <stdlib.h>
#include <string.h>

enum { INDICES_MAX = 1 << 26 };

#define LLU(value) ((unsigned long long)(value))

/* --- What was committed, by index --- */

static struct committed *committed_at(struct invariants *known, uint64_t index)
{
    static struct committed nowhere; /* Of an index that cannot be: written, and never read. */
    if (index >= INDICES_MAX) {
        nowhere = (struct committed){0};
        return &nowhere;
    }
    if (index >= known->committed_capacity) {
        size_t capacity = 2 * index + 1024;
        known->committed = host_resize(known->committed, capacity * sizeof *known->committed);
        memset(known->committed + known->committed_capacity, 0,
               (capacity - known->committed_capacity) * sizeof *known->committed);
        known->committed_capacity = capacity;
    }
    return &known->committed[index];
}

/* On how many voters of the configuration in force is it durable, of how many? */
static unsigned holders(struct server *server, uint64_t index, uint64_t term, unsigned *voters)
{
    struct simulation *s = server->simulation;
    const struct raft_configuration *configuration = &server->process->raft.configuration;
    unsigned count = 0;
    *voters = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct server *voter = server_of_id(s, configuration->servers[i].id);
        if (configuration->servers[i].role != RAFT_VOTER || !voter)
            continue;
        ++*voters;
        count += s->invariants.has_wiped[voter->number] || disk_holds(&voter->disk, index, term);
    }
    return count;
}

static void look_at_commit(struct server *server)
{
    struct simulation *s = server->simulation;
    uint64_t commit = server->process->raft.commit_index;
    if (s->options.mutant == MUTANT_COMMIT_BACK && commit > 5)
        commit = 5 - s->events_run % 2;
    if (commit < server->max_commit) {
        invariant_broken(server, COMMIT_GOES_BACK, "its commit index goes back from %llu to %llu",
                         LLU(server->max_commit), LLU(commit));
        return;
    }
    if (commit == server->max_commit)
        return;
    server->max_commit = commit;
    if (commit <= s->invariants.max_commit)
        return;
    s->invariants.max_commit = commit;
    const struct disk *disk = &server->disk;
    if (commit == 1 || (disk->snapshot && disk->snapshot->index >= commit))
        return; /* It is the first configuration, which all begin with; or in a snapshot. */
    const struct entry *entry = disk_entry_written(disk, commit);
    uint64_t term = entry ? entry->term : 0;
    committed_at(&s->invariants, commit)->term = term;
    committed_at(&s->invariants, commit)->in_term = server->process->raft.current_term;
    unsigned voters, count = holders(server, commit, term, &voters);
    if (2 * count <= voters)
        invariant_broken_at(server, DURABILITY, commit,
                         "commits entry %llu of term %llu, which is durable on %u of %u voters",
                         LLU(commit), LLU(term), count, voters);
}

/* --- Leaders --- */

static bool was_wiped(const struct simulation *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->invariants.has_wiped[i])
            return true;
    return false;
}

/*
 * A leader has what was committed in earlier terms. A server that was paused with its votes
 * unread may become the leader of a term that has passed; it need not have what came later.
 */
static void look_at_completeness(struct server *server)
{
    struct simulation *s = server->simulation;
    uint64_t leads = server->process->raft.current_term;
    uint64_t index = s->invariants.max_commit;
    if (was_wiped(s))
        return;
    while (index && (!committed_at(&s->invariants, index)->term ||
                     committed_at(&s->invariants, index)->in_term >= leads))
        index--;
    if (!index)
        return;
    uint64_t term = committed_at(&s->invariants, index)->term;
    const struct snapshot *snapshot = server->disk.snapshot;
    const struct entry *entry = disk_entry_written(&server->disk, index);
    bool has = (snapshot && snapshot->index >= index) || (entry && entry->term == term);
    if (!has)
        invariant_broken_at(server, LEADER_COMPLETENESS, index,
                            "leads term %llu without the committed entry %llu of term %llu",
                            LLU(leads), LLU(index), LLU(term));
}

static void look_at_leader(struct server *server)
{
    struct invariants *known = &server->simulation->invariants;
    uint64_t term = server->process->raft.current_term;
    bool leads = server_leads(server), is_new = leads && !server->led;
    server->led = leads;
    if (!leads)
        return;
    size_t i = known->leader_count;
    while (i && known->leaders[i - 1].term > term)
        i--;
    if (i && known->leaders[i - 1].term == term) {
        unsigned other = known->leaders[i - 1].server;
        if (other != server->number)
            invariant_broken(server, ELECTION_SAFETY, "leads term %llu, which n%u leads as well",
                             LLU(term), other + 1);
    } else {
        if (known->leader_count == known->leader_capacity) {
            known->leader_capacity = 2 * known->leader_capacity + 16;
            known->leaders =
                host_resize(known->leaders, known->leader_capacity * sizeof *known->leaders);
        }
        memmove(known->leaders + i + 1, known->leaders + i,
                (known->leader_count++ - i) * sizeof *known->leaders);
        known->leaders[i] = (struct leader_of_term){term, server->number};
        known->elections++;
    }
    if (is_new)
        look_at_completeness(server);
}

/* --- What a server believes of its disk --- */

static void look_at_disk(struct server *server)
{
    const struct raft *raft = &server->process->raft;
    const struct disk *disk = &server->disk;
    if (raft_state(&server->process->raft) == RAFT_UNAVAILABLE || server->is_closing)
        return;
    if (!server->metadata_failed && raft->current_term != disk->term)
        invariant_broken(server, TERM_NOT_STORED, "is in term %llu, and its disk says %llu",
                         LLU(raft->current_term), LLU(disk->term));
    if (!server->metadata_failed && raft->voted_for != disk->vote)
        invariant_broken(server, VOTE_NOT_STORED, "voted for %llu in term %llu, and its disk says %llu",
                         LLU(raft->voted_for), LLU(raft->current_term), LLU(disk->vote));
    if (raft->last_stored > disk_last(disk))
        invariant_broken(server, STORED_INDEX, "believes %llu entries stored, and its disk ends at %llu",
                         LLU(raft->last_stored), LLU(disk_last(disk)));
}

void invariants_look(struct server *server)
{
    if (!server->is_started)
        return;
    look_at_commit(server);
    look_at_leader(server);
    look_at_disk(server);
    trace_server(server);
}

/* --- What is applied --- */

void invariants_applies(struct server *server, uint64_t index, const uint8_t *bytes, size_t size)
{
    struct committed *known = committed_at(&server->simulation->invariants, index);
    uint64_t digest = digest_words(DIGEST_START, bytes, size);
    if (!known->is_applied) {
        known->is_applied = true;
        known->digest = digest;
    } else if (known->digest != digest) {
        invariant_broken_at(server, STATE_MACHINE_SAFETY, index,
                         "applies a command at index %llu that is not what another server applied there",
                         LLU(index));
    }
}

void invariants_applied(struct server *server, uint64_t index, uint64_t digest)
{
    struct committed *known = committed_at(&server->simulation->invariants, index);
    simulation_mix(server->simulation, index ^ digest);
    if (!digest)
        return;
    if (!known->has_state) {
        known->has_state = true;
        known->state = digest;
    } else if (known->state != digest) {
        invariant_broken_at(server, STATE_MACHINE_SAFETY, index,
                         "has another state after index %llu than another server had", LLU(index));
    }
}

void invariants_restored(struct server *server, uint64_t index, uint64_t digest)
{
    struct invariants *known = &server->simulation->invariants;
    while (index && !committed_at(known, index)->has_state)
        index--; /* What is not a command changes no state. */
    if (digest && index && committed_at(known, index)->state != digest)
        invariant_broken_at(server, SNAPSHOT_DIFFERS, index,
                         "restored a snapshot that is not the state after index %llu", LLU(index));
}

/* --- What is stored --- */

static struct stored *stored_slot(struct invariants *known, uint64_t index, uint64_t term)
{
    uint64_t key[] = {index, term};
    size_t mask = known->stored_capacity - 1;
    size_t at = digest_bytes(DIGEST_START, key, sizeof key) & mask;
    while (known->stored[at].index &&
           (known->stored[at].index != index || known->stored[at].term != term))
        at = (at + 1) & mask;
    return &known->stored[at];
}

static void make_room(struct invariants *known)
{
    if (2 * known->stored_count < known->stored_capacity)
        return;
    struct stored *old = known->stored;
    size_t capacity = known->stored_capacity;
    known->stored_capacity = capacity ? 2 * capacity : 1024;
    known->stored = host_allocate(known->stored_capacity * sizeof *known->stored);
    for (size_t i = 0; i < capacity; i++)
        if (old[i].index)
            *stored_slot(known, old[i].index, old[i].term) = old[i];
    free(old);
}

void invariants_stored(struct server *server, uint64_t index, const struct entry *entries, size_t count)
{
    struct invariants *known = &server->simulation->invariants;
    for (size_t i = 0; i < count; i++, index++) {
        const struct entry *previous = disk_entry(&server->disk, index - 1);
        uint64_t previous_term = previous ? previous->term : 0;
        make_room(known);
        struct stored *slot = stored_slot(known, index, entries[i].term);
        if (!slot->index) {
            *slot = (struct stored){index, entries[i].term, entries[i].digest, previous_term};
            known->stored_count++;
        } else if (slot->digest != entries[i].digest) {
            invariant_broken_at(server, LOG_MATCHING, index,
                             "stores another entry at index %llu of term %llu than another server did",
                             LLU(index), LLU(entries[i].term));
        } else if (previous_term && slot->previous_term && slot->previous_term != previous_term) {
            invariant_broken_at(server, LOG_MATCHING, index,
                             "stores entry %llu of term %llu behind one of term %llu, another server "
                             "behind one of term %llu",
                             LLU(index), LLU(entries[i].term), LLU(previous_term),
                             LLU(slot->previous_term));
        } else if (!slot->previous_term) {
            slot->previous_term = previous_term;
        }
    }
}
