/* The peer: the least that writing one message to many sockets can cost. Returns how many took all of it. */
#include <stddef.h>
#include <sys/socket.h>

int send_loop(const int *sockets, int count, const char *data, size_t length) {
  int taken = 0;
  for (int i = 0; i < count; i++)
    taken += send(sockets[i], data, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
  return taken;
}
