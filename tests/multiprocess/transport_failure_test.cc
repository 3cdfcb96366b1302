// A peer that is killed or stopped is named within six seconds, by clients and servers;
// one that comes back is served again.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "core/base/errors.h"
#include "distribute/transport/transport.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// transport_peer, with its output and input.
class Peer {
 public:
  Peer(const char* what, const std::string& address, int task) {
    int out[2], in[2];
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(out[1], 1);
      ::dup2(in[0], 0);
      ::execl(TRANSPORT_PEER_PROGRAM, TRANSPORT_PEER_PROGRAM, what, address.c_str(),
              std::to_string(task).c_str(), nullptr);
      ::_exit(127);
    }
    ::close(out[1]);
    ::close(in[0]);
    output_ = out[0];
    input_ = in[1];
  }
  ~Peer() {
    Signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(output_);
    ::close(input_);
  }
  // SIGSTOP: returns once all of its threads have stopped.
  void Signal(int number) {
    ::kill(pid_, number);
    if (number == SIGSTOP) ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void Ask() { EXPECT_EQ(::write(input_, "\n", 1), 1); }

  // The next line that begins with `start`; "" when none comes in 20 seconds.
  std::string Line(const std::string& start) {
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    while (true) {
      for (size_t end; (end = text_.find('\n')) != std::string::npos;) {
        const std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        if (line.rfind(start, 0) == 0) return line;
      }
      pollfd fd{output_, POLLIN, 0};
      const auto left = std::chrono::duration_cast<Millis>(deadline - Clock::now()).count();
      if (left <= 0 || ::poll(&fd, 1, static_cast<int>(left)) != 1) return "";
      char buffer[4096];
      const ssize_t got = ::read(output_, buffer, sizeof(buffer));
      if (got <= 0) return "";
      text_.append(buffer, static_cast<size_t>(got));
    }
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1, input_ = -1;
  std::string text_;
};

double SecondsOf(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

class TransportFailure : public testing::Test {
 protected:
  Peer server_{"serve", "tcp://127.0.0.1:0", 2};
  std::string address_ = server_.Line("AT ").substr(3);
};

TEST_F(TransportFailure, AKilledServerIsNamedAtOnce) {
  Peer client("call", address_, 5);
  ASSERT_EQ(client.Line("CONNECTED"), "CONNECTED");
  server_.Signal(SIGKILL);
  const auto start = Clock::now();
  client.Ask();
  EXPECT_THAT(client.Line("ERROR"), HasSubstr("/job:ps/task:2 at " + address_ + " is lost"));
  EXPECT_LT(SecondsOf(Clock::now() - start), 2);
}

TEST_F(TransportFailure, AStoppedServerIsNamedWithinSixSeconds) {
  Peer client("call", address_, 5);
  ASSERT_EQ(client.Line("CONNECTED"), "CONNECTED");
  server_.Signal(SIGSTOP);
  const auto start = Clock::now();
  client.Ask();  // its own deadline is a minute away
  const std::string error = client.Line("ERROR");
  EXPECT_THAT(error, HasSubstr("/job:ps/task:2 at " + address_ + " is lost: no heartbeat for"));
  EXPECT_LT(SecondsOf(Clock::now() - start), 6);
  EXPECT_GT(SecondsOf(Clock::now() - start), 3);
}

TEST_F(TransportFailure, AKilledClientIsNamedAtOnce) {
  Peer client("call", address_, 5);
  ASSERT_EQ(client.Line("CONNECTED"), "CONNECTED");
  client.Signal(SIGKILL);
  const auto start = Clock::now();
  EXPECT_THAT(server_.Line("LOST"), StartsWith("LOST /job:worker/task:5 the connection"));
  EXPECT_LT(SecondsOf(Clock::now() - start), 2);
}

// And when it wakes up, its connection is gone: it has to say hello anew.
TEST_F(TransportFailure, AStoppedClientIsNamedWithinSixSecondsAndCannotGoOn) {
  Peer client("call", address_, 5), other("call", address_, 6);
  ASSERT_EQ(client.Line("CONNECTED"), "CONNECTED");
  ASSERT_EQ(other.Line("CONNECTED"), "CONNECTED");
  client.Signal(SIGSTOP);
  const auto start = Clock::now();
  EXPECT_THAT(server_.Line("LOST"), StartsWith("LOST /job:worker/task:5 no heartbeat for"));
  EXPECT_LT(SecondsOf(Clock::now() - start), 6);
  EXPECT_GT(SecondsOf(Clock::now() - start), 3);
  other.Ask();
  EXPECT_EQ(other.Line(""), "OK");
  client.Signal(SIGCONT);
  client.Ask();
  EXPECT_THAT(client.Line(""), HasSubstr("/job:ps/task:2"));
  Peer again("call", address_, 5);
  EXPECT_EQ(again.Line("CONNECTED"), "CONNECTED");
}

// Who was stopped itself must not take the others for dead.
TEST_F(TransportFailure, AServerThatWakesUpKeepsItsClients) {
  Peer client("call", address_, 5);
  ASSERT_EQ(client.Line("CONNECTED"), "CONNECTED");
  server_.Signal(SIGSTOP);
  client.Signal(SIGSTOP);
  // Both sleep for longer than a peer may be silent.
  const auto start = Clock::now();
  Peer bystander("serve", "tcp://127.0.0.1:0", 9);
  Peer sleeper("call", bystander.Line("AT ").substr(3), 7);
  ASSERT_EQ(sleeper.Line("CONNECTED"), "CONNECTED");
  sleeper.Signal(SIGSTOP);
  EXPECT_THAT(bystander.Line("LOST"), HasSubstr("task:7"));
  EXPECT_GT(SecondsOf(Clock::now() - start), 4.5);
  server_.Signal(SIGCONT);
  client.Signal(SIGCONT);
  client.Ask();
  EXPECT_EQ(client.Line(""), "OK");
}

TEST_F(TransportFailure, AServerThatIsStartedAgainAtItsPlaceIsFoundThere) {
  {
    Peer client("call", address_, 5);
    ASSERT_EQ(client.Line("CONNECTED"), "CONNECTED");
    server_.Signal(SIGKILL);
    client.Ask();
    EXPECT_THAT(client.Line("ERROR"), HasSubstr("connect again"));
  }
  Peer again("serve", address_, 2);
  ASSERT_EQ(again.Line("AT "), "AT " + address_);
  Peer client("call", address_, 5);
  EXPECT_EQ(client.Line("CONNECTED"), "CONNECTED");
}

}  // namespace
}  // namespace tributary
