/* Many WebSocket clients in one process: they count what they get, answer pings and tell when the last one got it.
 *
 * Commands on standard input, one per line; each is answered by one line on standard output:
 *   open PORT PATH COUNT  -> opened COUNT FAILED
 *   expect FRAMES         -> expecting            and later: done NANOSECONDS (CLOCK_MONOTONIC of the last frame)
 *   latency               -> latency              from now on `sent@NANOSECONDS` in a payload is measured
 *   stats                 -> stats OPEN LOST FRAMES PINGS SAMPLES P50_US P99_US MAX_US
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 65536
#define MAX_US 10000000
#define IN_FLIGHT 128
#define SPIN_NS 50000000LL /* stay awake so long: waking us up would be billed to the server */

struct connection {
  int fd, is_open, matched, head_length, ping_length;
  unsigned char head[14], ping[125];
  uint64_t left;
};

static struct connection connections[MAX_CONNECTIONS];
static int total, open_count, lost, failed, poller, is_measuring;
static uint64_t frames, target, pings, samples;
static uint32_t *histogram;
static unsigned char buffer[1 << 18];

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void drop(struct connection *c) {
  if (c->is_open) { open_count--; lost++; } else failed++;
  close(c->fd);
  c->fd = -1;
}

static void pong(struct connection *c) { /* masked with zeros, as a client must mask */
  unsigned char out[131] = {0x8A, (unsigned char)(0x80 | c->ping_length), 0, 0, 0, 0};
  memcpy(out + 6, c->ping, c->ping_length);
  if (send(c->fd, out, 6 + c->ping_length, MSG_NOSIGNAL) < 0) return;
  pings++;
}

static void measure(const unsigned char *data, size_t length) {
  const unsigned char *at = data, *end = data + length;
  int64_t now = now_ns();
  while ((at = memmem(at, end - at, "sent@", 5)) != NULL) {
    int64_t sent = 0;
    for (at += 5; at < end && *at >= '0' && *at <= '9'; at++) sent = sent * 10 + (*at - '0');
    if (at == end) return; /* cut in two; one sample less */
    int64_t us = (now - sent) / 1000;
    histogram[us < 0 ? 0 : us >= MAX_US ? MAX_US - 1 : us]++;
    samples++;
  }
}

/* Take the header of a frame byte by byte; its payload is skipped but for that of a ping. */
static void parse(struct connection *c, const unsigned char *at, const unsigned char *end) {
  while (at < end) {
    if (c->left) {
      uint64_t here = (uint64_t)(end - at) < c->left ? (uint64_t)(end - at) : c->left;
      if ((c->head[0] & 15) == 9) { memcpy(c->ping + c->ping_length, at, here); c->ping_length += here; }
      at += here;
      c->left -= here;
    } else {
      c->head[c->head_length++] = *at++;
      int code = c->head_length > 1 ? c->head[1] & 127 : 0;
      int needed = c->head_length < 2 ? 2 : code < 126 ? 2 : code == 126 ? 4 : 10;
      if (c->head_length < needed) continue;
      c->left = code < 126 ? code : 0;
      for (int i = 2; i < needed; i++) c->left = c->left << 8 | c->head[i];
    }
    if (c->left) continue;
    if (c->head_length == 0) continue;
    if ((c->head[0] & 15) == 9) pong(c);
    else if ((c->head[0] & 15) < 3) {
      frames++;
      if (target && frames == target) { target = 0; printf("done %lld\n", (long long)now_ns()); fflush(stdout); }
    }
    c->head_length = c->ping_length = 0;
  }
}

static void receive(struct connection *c) {
  ssize_t length;
  while ((length = recv(c->fd, buffer, sizeof buffer, 0)) > 0) {
    unsigned char *at = buffer, *end = buffer + length;
    while (!c->is_open && at < end) { /* the answer to the handshake */
      if (c->head_length < 12) c->head[c->head_length++] = *at;
      c->matched = *at == "\r\n\r\n"[c->matched] ? c->matched + 1 : *at == '\r';
      at++;
      if (c->matched < 4) continue;
      if (memcmp(c->head + 9, "101", 3)) { drop(c); return; }
      c->is_open = 1;
      open_count++;
      c->head_length = 0;
    }
    if (is_measuring) measure(at, end - at);
    parse(c, at, end);
    if (length < (ssize_t)sizeof buffer) return;
  }
  if (length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) drop(c);
}

static int poll_once(int timeout) {
  struct epoll_event events[512];
  int count = epoll_wait(poller, events, 512, timeout), has_input = 0;
  for (int i = 0; i < count; i++) {
    if (events[i].data.ptr == NULL) has_input = 1;
    else if (((struct connection *)events[i].data.ptr)->fd >= 0) receive(events[i].data.ptr);
  }
  return count <= 0 ? -1 : has_input;
}

static void connect_one(int port, const char *path) {
  struct connection *c = &connections[total++];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) { failed++; c->fd = -1; return; }
  char request[512];
  int length = snprintf(request, sizeof request,
      "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, port);
  if (send(c->fd, request, length, MSG_NOSIGNAL) != length) { failed++; close(c->fd); c->fd = -1; return; }
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void open_many(int port, const char *path, int count) {
  int before = open_count, failed_before = failed;
  for (int i = 0; i < count && total < MAX_CONNECTIONS; i++) {
    connect_one(port, path);
    while (i + 1 - (open_count - before) - (failed - failed_before) >= IN_FLIGHT) poll_once(1000);
  }
  int64_t until = now_ns() + 30000000000LL;
  while (open_count - before + failed - failed_before < count && now_ns() < until) poll_once(100);
  printf("opened %d %d\n", open_count - before, failed - failed_before);
}

static uint32_t percentile(double part) {
  uint64_t seen = 0;
  for (uint32_t us = 0; us < MAX_US; us++)
    if ((seen += histogram[us]) && seen >= part * samples) return us;
  return 0;
}

static int obey(void) {
  char line[256], path[200];
  int port, count;
  unsigned long long number;
  if (!fgets(line, sizeof line, stdin)) return 0;
  if (sscanf(line, "open %d %199s %d", &port, path, &count) == 3) open_many(port, path, count);
  else if (sscanf(line, "expect %llu", &number) == 1) { frames = 0; target = number; puts("expecting"); }
  else if (!strncmp(line, "latency", 7)) {
    is_measuring = 1; samples = 0; memset(histogram, 0, MAX_US * sizeof *histogram); puts("latency");
  } else if (!strncmp(line, "stats", 5))
    printf("stats %d %d %llu %llu %llu %u %u %u\n", open_count, lost, (unsigned long long)frames,
           (unsigned long long)pings, (unsigned long long)samples, percentile(0.5), percentile(0.99), percentile(1.0));
  fflush(stdout);
  return 1;
}

int main(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  histogram = calloc(MAX_US, sizeof *histogram);
  poller = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
  setvbuf(stdin, NULL, _IONBF, 0);
  int64_t active = now_ns();
  for (;;) {
    int is_spinning = now_ns() - active < SPIN_NS;
    int result = poll_once(is_spinning ? 0 : 1000);
    if (result >= 0) active = now_ns();
    if (result == 1 && !obey()) return 0;
  }
}
