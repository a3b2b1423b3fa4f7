/*
 * libraft 0.22.1 (Debian 13): the library steps through events, and its older interface, which runs
 * here, drives it.
 */
#ifndef DISSEVER_SIMULATION_VARIANT_H
#define DISSEVER_SIMULATION_VARIANT_H

#include <raft.h>

#include <stdint.h>
#include <stdio.h>

#define LIBRARY_NAME "libraft 0.22.1"

enum {
    IO_VERSION = 2,
    RETRIES_FAILED_WRITES = 1, /* raft_uv tries again after a second, and never tells the library */
};

/* KiB of the disk that are reserved for entries: with less than a threshold, none is accepted. */
#define IO_MORE .capacity = UINT16_MAX,

#define HAS_ASYNC_WORK 0
#define HAS_TIMERS 0

enum {
    RAFT_IO_APPEND_ENTRIES = RAFT_APPEND_ENTRIES,
    RAFT_IO_APPEND_ENTRIES_RESULT = RAFT_APPEND_ENTRIES_RESULT,
    RAFT_IO_REQUEST_VOTE = RAFT_REQUEST_VOTE,
    RAFT_IO_REQUEST_VOTE_RESULT = RAFT_REQUEST_VOTE_RESULT,
    RAFT_IO_INSTALL_SNAPSHOT = RAFT_INSTALL_SNAPSHOT,
    RAFT_IO_TIMEOUT_NOW = RAFT_TIMEOUT_NOW,
};

/* How functions of this version differ. */
#define FSM_APPLY_RESULT , void **result
#define FSM_PASS_RESULT , result
#define FSM_NO_RESULT (*result = NULL)
#define FSM_FINALIZE_ARGUMENTS struct raft_buffer *buffers[], unsigned *count
#define FSM_FINALIZE_PASS buffers, count
#define FSM_FINALIZE_BUFFERS (*buffers)
#define FSM_FINALIZE_COUNT (*count)
#define APPLY_CB_RESULT , void *result
#define APPLY_CB_IGNORE (void)result
#define TRUNCATE_REQUEST
#define TRUNCATE_BEGIN (void)0
#define TRUNCATE_OWNED NULL

/* Of its own I/O, which real nodes have (real/node.c). */
#define UV_HEADER <raft/uv.h>
#define TRANSPORT_BEGIN(transport) ((transport).version = 1)

/* Of the library, inside its archive: call back the requests that are done. */
void LegacyFireCompletedRequests(struct raft *raft);

/* After each event of a server, as raft_uv does in each turn of its loop. */
static inline void library_event_ends(struct raft *raft)
{
    LegacyFireCompletedRequests(raft);
}

static inline void library_append_begin(struct raft_io_append *request)
{
    (void)request;
}

static inline void library_emit(struct raft_tracer *tracer, int type, const void *info)
{
    const struct raft_tracer_info *said = info;
    if (type == RAFT_TRACER_DIAGNOSTIC)
        fprintf(stderr, "%s %s:%d: %s\n", (const char *)tracer->impl, said->diagnostic.file,
                said->diagnostic.line, said->diagnostic.message);
}

static inline void library_trace(struct raft *raft, struct raft_tracer *tracer, unsigned number,
                                 bool is_on)
{
    static const char names[][3] = {"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"};
    tracer->impl = (void *)(uintptr_t)names[number];
    tracer->version = 2;
    tracer->emit = library_emit;
    if (is_on)
        raft->tracer = tracer;
}

#endif
