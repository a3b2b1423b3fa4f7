/* What the harness asks, frame by frame (frames.h). */
#ifndef DISSEVER_SIMULATION_COMMANDS_H
#define DISSEVER_SIMULATION_COMMANDS_H

#include "output.h"

#include <stdbool.h>

struct simulation;

/* Do what a frame asks (`input` begins behind its kind), and put the answer. False: it was the last. */
bool command(struct simulation *simulation, unsigned kind, struct input *input, struct output *answer);

#endif
