/*
 * The server of `make bench-streams`: replay_server LINES WHOLE
 *
 * LINES is a file with the lines of a chat's stream, WHOLE one with the body of a whole answer. It answers every
 * POST as Ollama frames it, an HTTP chunk per line, the head together with the first line:
 *
 *   "stream": false      WHOLE
 *   model "burst-N"      N lines at once
 *   model "live-N-MS"    N lines, one every MS milliseconds, each stream at a phase of its own
 *   model "idle"         one line, and then nothing
 *
 * The last line of a stream is the last one of LINES, in which total_duration is when it was sent (nanoseconds of
 * CLOCK_MONOTONIC, which all processes of a machine share). GET /usage tells the server's own CPU time, and by how much
 * a line was sent too late at worst since this was asked last; both in microseconds.
 *
 * It prints its port, and ends when its standard input does. One thread; Linux only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
#define JSON_HEAD "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
#define LAST_CHUNK "0\r\n\r\n"
#define STAMP "\"total_duration\":"
#define AT_ONCE 65536 /* shorter bursts are sent in one piece, last line and all */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *sure(void *memory) {
    if (memory == NULL) die("memory");
    return memory;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

typedef struct {
    char *at;
    size_t length, room;
} Bytes;

static void put(Bytes *bytes, const char *from, size_t length) {
    if (bytes->length + length > bytes->room) {
        bytes->room = (bytes->length + length) * 2;
        bytes->at = sure(realloc(bytes->at, bytes->room));
    }
    memcpy(bytes->at + bytes->length, from, length);
    bytes->length += length;
}

static void put_chunk(Bytes *bytes, const char *line, size_t length) {
    char size[20];
    put(bytes, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", length));
    put(bytes, line, length);
    put(bytes, "\r\n", 2);
}

static Bytes read_file(const char *path) {
    Bytes bytes = {0};
    char piece[65536];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (file == NULL) die(path);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0) put(&bytes, piece, got);
    fclose(file);
    return bytes;
}

/* --- what is sent ----------------------------------------------------------------------------------------------- */

static Bytes whole;
static Bytes chunks;    /* every line but the last, framed */
static size_t *starts;  /* where each begins in chunks; one more for the end */
static size_t lines;    /* how many there are */
static Bytes last_line; /* up to the digits of its stamp */
static Bytes last_rest; /* from behind them */

static void read_lines(const char *path) {
    Bytes text = read_file(path);
    char *line = text.at, *end = text.at + text.length;
    starts = sure(malloc((text.length + 1) * sizeof *starts));
    for (char *next; line < end; line = next) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        if (newline == NULL) break;
        next = newline + 1;
        if (next < end) {
            starts[lines++] = chunks.length;
            put_chunk(&chunks, line, (size_t)(next - line));
            continue;
        }
        char *stamp = memmem(line, (size_t)(next - line), STAMP, strlen(STAMP));
        if (stamp == NULL) break;
        stamp += strlen(STAMP);
        put(&last_line, line, (size_t)(stamp - line));
        stamp += strspn(stamp, "0123456789");
        put(&last_rest, stamp, (size_t)(next - stamp));
    }
    starts[lines] = chunks.length;
    if (lines == 0 || last_line.length == 0) {
        fprintf(stderr, "%s: not the lines of a chat's stream\n", path);
        exit(1);
    }
    free(text.at);
}

/* Appends lines number..number + count - 1; they begin anew when LINES has no more. */
static void put_lines(Bytes *out, size_t number, size_t count) {
    while (count > 0) {
        size_t first = number % lines, some = lines - first < count ? lines - first : count;
        put(out, chunks.at + starts[first], starts[first + some] - starts[first]);
        number += some;
        count -= some;
    }
}

static void put_last(Bytes *out) {
    char stamp[24];
    Bytes line = {0};
    put(&line, last_line.at, last_line.length);
    put(&line, stamp, (size_t)snprintf(stamp, sizeof stamp, "%lld", (long long)now()));
    put(&line, last_rest.at, last_rest.length);
    put_chunk(out, line.at, line.length);
    put(out, LAST_CHUNK, strlen(LAST_CHUNK));
    free(line.at);
}

/* The same burst is asked for again and again: its head and all of its lines but the last are made once. */
static const Bytes *burst(size_t count) {
    static struct {
        size_t count;
        Bytes bytes;
    } made[16];
    static size_t used;
    for (size_t i = 0; i < used; i++)
        if (made[i].count == count) return &made[i].bytes;
    if (used == sizeof made / sizeof *made) die("too many sizes of bursts");
    made[used].count = count;
    put(&made[used].bytes, STREAM_HEAD, strlen(STREAM_HEAD));
    put_lines(&made[used].bytes, 0, count - 1);
    return &made[used++].bytes;
}

/* --- connections ------------------------------------------------------------------------------------------------ */

typedef struct {
    int socket;
    Bytes in, out;
    size_t sent;            /* of out */
    const Bytes *shared;    /* sent before out */
    size_t shared_sent;
    bool wants_last;        /* after shared */
    bool answering, waits_to_write;
    size_t number, count;   /* of a live stream: the next line, and how many there are */
    int64_t period, due;
    size_t place;           /* in the queue, from 1; 0 if it is not there */
} Connection;

static int poll_set;
static int64_t latest; /* nanoseconds by which a line was too late at worst */

/* A heap of the live streams, the one that is due first on top. */
static Connection **queue;
static size_t queued, queue_room;

static void place(Connection *connection, size_t at) {
    queue[at] = connection;
    connection->place = at;
}

static void settle(Connection *connection, size_t at) {
    for (; at > 1 && queue[at / 2]->due > connection->due; at /= 2) place(queue[at / 2], at);
    for (size_t child; (child = 2 * at) <= queued; at = child) {
        if (child < queued && queue[child + 1]->due < queue[child]->due) child++;
        if (queue[child]->due >= connection->due) break;
        place(queue[child], at);
    }
    place(connection, at);
}

static void enqueue(Connection *connection) {
    if (queued + 2 > queue_room) {
        queue_room = 2 * queue_room + 1024;
        queue = sure(realloc(queue, queue_room * sizeof *queue));
    }
    settle(connection, ++queued);
}

static void dequeue(Connection *connection) {
    size_t at = connection->place;
    Connection *moved = queue[queued--];
    connection->place = 0;
    if (moved != connection) settle(moved, at);
}

static void drop(Connection *connection) {
    if (connection->place) dequeue(connection);
    close(connection->socket);
    free(connection->in.at);
    free(connection->out.at);
    free(connection);
}

static void watch(Connection *connection, bool writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = connection};
    if (connection->waits_to_write != writing) epoll_ctl(poll_set, EPOLL_CTL_MOD, connection->socket, &event);
    connection->waits_to_write = writing;
}

/* Sends what it can; false if the connection is broken. */
static bool send_some(Connection *connection, const Bytes *bytes, size_t *sent) {
    while (*sent < bytes->length) {
        ssize_t gone = send(connection->socket, bytes->at + *sent, bytes->length - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (gone < 0) return errno == EAGAIN || errno == EINTR;
        *sent += (size_t)gone;
    }
    return true;
}

/* Sends on; false if the connection is gone. */
static bool flush(Connection *connection) {
    bool well = true;
    if (connection->shared != NULL) {
        well = send_some(connection, connection->shared, &connection->shared_sent);
        if (well && connection->shared_sent == connection->shared->length) connection->shared = NULL;
    }
    if (well && connection->shared == NULL) {
        if (connection->wants_last) put_last(&connection->out);
        connection->wants_last = false;
        well = send_some(connection, &connection->out, &connection->sent);
    }
    if (!well) {
        drop(connection);
        return false;
    }
    if (connection->sent == connection->out.length) connection->sent = connection->out.length = 0;
    watch(connection, connection->shared != NULL || connection->out.length > 0);
    return true;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void answer_json(Connection *connection, const char *status, const char *body, size_t length) {
    char head[200];
    put(&connection->out, head, (size_t)snprintf(head, sizeof head, JSON_HEAD, status, length));
    put(&connection->out, body, length);
}

static void answer_usage(Connection *connection) {
    char body[100];
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    long long cpu = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    int length = snprintf(body, sizeof body, "{\"cpu\":%lld,\"late\":%lld}", cpu, (long long)(latest / 1000));
    latest = 0;
    answer_json(connection, "200 OK", body, (size_t)length);
}

static void begin_live(Connection *connection, size_t count, size_t milliseconds) {
    static double phase;
    phase += 0.6180339887498949; /* the golden section spreads any number of phases evenly */
    phase -= (int)phase;
    connection->answering = true;
    connection->number = 0;
    connection->count = count;
    connection->period = (int64_t)milliseconds * 1000000;
    connection->due = now() + (int64_t)(phase * (double)connection->period);
    enqueue(connection);
}

static void answer_chat(Connection *connection, const char *body) {
    size_t count, milliseconds;
    const char *model = strstr(body, "\"model\":");
    if (strstr(body, "\"stream\":false") || strstr(body, "\"stream\": false")) {
        answer_json(connection, "200 OK", whole.at, whole.length);
        return;
    }
    model = model ? model + strcspn(model + 8, "\"") + 9 : "";
    if (sscanf(model, "burst-%zu\"", &count) == 1 && count > 0) {
        const Bytes *made = burst(count);
        if (made->length > AT_ONCE) {
            connection->shared = made;
            connection->shared_sent = 0;
            connection->wants_last = true;
        } else {
            put(&connection->out, made->at, made->length);
            put_last(&connection->out);
        }
    } else if (sscanf(model, "live-%zu-%zu\"", &count, &milliseconds) == 2 && count > 0) {
        begin_live(connection, count, milliseconds);
    } else if (strncmp(model, "idle\"", 5) == 0) {
        put(&connection->out, STREAM_HEAD, strlen(STREAM_HEAD));
        put_lines(&connection->out, 0, 1);
        connection->answering = true;
    } else {
        const char *error = "{\"error\":\"model not found\"}";
        answer_json(connection, "404 Not Found", error, strlen(error));
    }
}

/* Sends the line that is due. */
static void tick(Connection *connection) {
    int64_t late = now() - connection->due;
    if (late > latest) latest = late;
    if (connection->number == 0) put(&connection->out, STREAM_HEAD, strlen(STREAM_HEAD));
    if (++connection->number < connection->count) {
        put_lines(&connection->out, connection->number - 1, 1);
        connection->due += connection->period;
        settle(connection, connection->place);
    } else {
        put_last(&connection->out);
        dequeue(connection);
        connection->answering = false;
    }
    flush(connection);
}

/* Answers the requests that are complete; false if the connection is gone. */
static bool answer(Connection *connection) {
    Bytes *in = &connection->in;
    while (!connection->answering && in->length > 0) {
        put(in, "", 1); /* for the functions on strings */
        in->length--;
        char *end = strstr(in->at, "\r\n\r\n");
        if (end == NULL) break;
        char *length = strcasestr(in->at, "\r\ncontent-length:");
        size_t head = (size_t)(end + 4 - in->at);
        size_t size = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
        if (in->length < head + size) break;
        char after = in->at[head + size];
        in->at[head + size] = 0;
        if (strncmp(in->at, "POST ", 5) == 0)
            answer_chat(connection, in->at + head);
        else
            answer_usage(connection);
        in->at[head + size] = after;
        in->length -= head + size;
        memmove(in->at, in->at + head + size, in->length);
        if (!flush(connection)) return false;
    }
    return true;
}

static void receive(Connection *connection) {
    char piece[65536];
    for (;;) {
        ssize_t got = recv(connection->socket, piece, sizeof piece, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (got <= 0) {
            drop(connection);
            return;
        }
        put(&connection->in, piece, (size_t)got);
        if ((size_t)got < sizeof piece) break;
    }
    answer(connection);
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

static int listen_anywhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void accept_all(int listener) {
    int yes = 1, socket;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        Connection *connection = sure(calloc(1, sizeof *connection));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        connection->socket = socket;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(poll_set, EPOLL_CTL_ADD, socket, &event);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "replay_server LINES WHOLE\n");
        return 2;
    }
    read_lines(argv[1]);
    whole = read_file(argv[2]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    static char timer_mark, listener_mark, input_mark; /* their addresses say what an event is of */
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), listener = listen_anywhere();
    poll_set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &timer_mark};
    epoll_ctl(poll_set, EPOLL_CTL_ADD, timer, &event);
    event.data.ptr = &listener_mark;
    epoll_ctl(poll_set, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &input_mark;
    if (epoll_ctl(poll_set, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0) die("standard input must be a pipe");

    for (int64_t armed = 0;;) {
        while (queued > 0 && queue[1]->due <= now()) tick(queue[1]);
        if (queued > 0 && queue[1]->due != armed) {
            armed = queue[1]->due;
            struct itimerspec when = {.it_value = {.tv_sec = armed / 1000000000, .tv_nsec = armed % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        }
        struct epoll_event events[64];
        int found = epoll_wait(poll_set, events, 64, -1);
        for (int i = 0; i < found; i++) {
            void *of = events[i].data.ptr;
            if (of == &timer_mark) {
                uint64_t times;
                if (read(timer, &times, sizeof times) < 0 && errno != EAGAIN) die("timer");
            } else if (of == &listener_mark) {
                accept_all(listener);
            } else if (of == &input_mark) {
                char ignored[64];
                if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0) return 0;
            } else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                receive(of);
            } else if (flush(of)) {
                answer(of);
            }
        }
    }
}
