/*
 * The floor of `make bench-streams`: what reading streams costs in C, without HTTP and JSON. floor PORT
 *
 * It does what the kernel must be asked for: a set of all sockets inside another one, as an event loop holds it (nested
 * epoll), and recv. Answers are looked at when the clock is stopped. Told "streams MODEL COUNT", it opens that many
 * streams at once, reads them, and tells as JSON what benches/peers/client.py tells.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
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

#define ROOM 65536
#define END "\r\n0\r\n\r\n"
#define CONTENT "\"content\":\""
#define STAMP "\"total_duration\":"

typedef struct {
    int socket;
    char *at;
    size_t length, room;
    int64_t ended;
} Stream;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t clock_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void begin(Stream *stream, int port, const char *model, int set) {
    char body[300], request[600];
    int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = stream};
    int length = snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[],\"stream\":true}", model);
    length = snprintf(request, sizeof request,
                      "POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", length, body);
    stream->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stream->socket < 0) die("socket");
    if (connect(stream->socket, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
    setsockopt(stream->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (send(stream->socket, request, (size_t)length, MSG_NOSIGNAL) != length) die("send");
    epoll_ctl(set, EPOLL_CTL_ADD, stream->socket, &event);
}

/* Reads what is there; 1 if the stream has ended by that. */
static int receive(Stream *stream) {
    for (;;) {
        if (stream->room - stream->length < ROOM) {
            stream->room = 2 * stream->room + ROOM;
            stream->at = realloc(stream->at, stream->room + 1);
            if (stream->at == NULL) die("memory");
        }
        ssize_t got = recv(stream->socket, stream->at + stream->length, ROOM, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return 0;
        if (got <= 0) die("recv");
        stream->length += (size_t)got;
        size_t end = strlen(END);
        if (stream->length >= end && memcmp(stream->at + stream->length - end, END, end) == 0) {
            stream->ended = clock_of(CLOCK_MONOTONIC);
            close(stream->socket);
            return 1;
        }
        if (got < ROOM) return 0;
    }
}

/* Leaves the text of a stream in place of its bytes, and gives when its last line was sent. */
static int64_t take_text(Stream *stream) {
    char *to = stream->at, *from = stream->at;
    stream->at[stream->length] = 0;
    char *stamp = strstr(stream->at, STAMP);
    int64_t sent = stamp == NULL ? 0 : strtoll(stamp + strlen(STAMP), NULL, 10);
    while ((from = strstr(from, CONTENT)) != NULL) {
        from += strlen(CONTENT);
        size_t length = strcspn(from, "\"");
        memmove(to, from, length);
        to += length;
        from += length;
    }
    *to = 0;
    return sent;
}

static void streams(int port, const char *model, size_t count) {
    Stream *all = calloc(count, sizeof *all);
    if (all == NULL) die("memory");
    int64_t wall = clock_of(CLOCK_MONOTONIC), cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    int loop = epoll_create1(EPOLL_CLOEXEC), set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN}, events[1024];
    epoll_ctl(loop, EPOLL_CTL_ADD, set, &event);
    for (size_t i = 0; i < count; i++) begin(&all[i], port, model, set);
    for (size_t left = count; left > 0;) {
        epoll_wait(loop, &event, 1, -1);
        int found = epoll_wait(set, events, 1024, 0);
        for (int i = 0; i < found; i++) left -= (size_t)receive(events[i].data.ptr);
    }
    close(set);
    close(loop);
    cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = clock_of(CLOCK_MONOTONIC) - wall;

    printf("{\"cpu\":%.1f,\"wall\":%.1f,\"lags\":[", (double)cpu / 1e3, (double)wall / 1e3);
    for (size_t i = 0; i < count; i++) {
        printf("%s%.1f", i > 0 ? "," : "", (double)(all[i].ended - take_text(&all[i])) / 1e3);
        if (strcmp(all[i].at, all[0].at) != 0) {
            fprintf(stderr, "two streams have different texts\n");
            exit(1);
        }
    }
    printf("],\"text\":\"%s\"}\n", all[0].at); /* the texts have nothing that JSON escapes */
    fflush(stdout);
    for (size_t i = 0; i < count; i++) free(all[i].at);
    free(all);
}

int main(int argc, char **argv) {
    char line[300], model[200];
    size_t count;
    if (argc != 2) {
        fprintf(stderr, "floor PORT\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "streams %199s %zu", model, &count) != 2 || count == 0) {
            fprintf(stderr, "not understood: %s", line);
            return 2;
        }
        streams(atoi(argv[1]), model, count);
    }
    return 0;
}
