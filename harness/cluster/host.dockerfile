# The host of a node: it holds the node's network, and the tools with which faults change it. The
# node's own container joins it, and needs neither tools nor capabilities. The harness brings along
# the program that runs here.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends iproute2 libfaketime nftables python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /usr/share/doc /usr/share/man /usr/share/locale
# The harness asks for the number that it knows, in harness/cluster/engine.py.
LABEL dissever.host=2
