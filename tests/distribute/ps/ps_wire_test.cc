// Servers and clients that talk in fewer bits: what a server makes of it is what the decoded
// values make.

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <random>

#include "distribute/ps/ps_client.h"
#include "tests/distribute/ps/ps_harness.h"
#include "tests/temp_dir.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;

constexpr WireFormat kFormats[] = {WireFormat::kFloat32, WireFormat::kBfloat16, WireFormat::kInt8};
constexpr int64_t kDense = 301, kWidth = 5;

PsServerOptions Options(Consistency mode, int workers = 1, const std::string& dir = "") {
  PsServerOptions o;
  o.consistency = {.mode = mode, .staleness = 0, .workers = workers, .backup = 0};
  o.dir = dir;
  return o;
}

std::vector<float> Random(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& v : values) v = normal(random);
  return values;
}

std::string EncodedBytes(const WireValues& part, const std::vector<float>& values) {
  std::string bytes(part.bytes(), '\0');
  Encode(part, values.data(), reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

std::vector<float> Decoded(const WireValues& part, const std::string& bytes) {
  std::vector<float> values(part.count);
  Decode(part, reinterpret_cast<const std::byte*>(bytes.data()), values.data());
  return values;
}

// What a worker pushes in a step, in any format.
struct Gradients {
  std::vector<float> dense, rows;
  std::vector<uint64_t> ids;

  explicit Gradients(uint64_t seed) : dense(Random(kDense, seed)), ids(20) {
    std::mt19937_64 random(seed);
    for (uint64_t& id : ids) id = random() % 30;
    rows = Random(ids.size() * kWidth, seed + 1);
  }
  Parts In(WireFormat format) const {
    Parts parts;
    parts.push.push_back({.target = 1, .encoding = format, .count = dense.size()});
    const std::string d = EncodedBytes(WireValues::Dense(format, dense.size()), dense);
    Parts::Append(&parts.pushed, d.data(), d.size());
    parts.push.push_back(
        {.target = 2, .kind = PartKind::kRows, .encoding = format, .count = ids.size()});
    parts.pushed.append(reinterpret_cast<const char*>(ids.data()), ids.size() * 8);
    const std::string r = EncodedBytes(WireValues::Rows(format, ids.size(), kWidth), rows);
    Parts::Append(&parts.pushed, r.data(), r.size());
    return parts;
  }
  // As float32: what the other side makes of the format.
  Parts DecodedFrom(WireFormat format) const {
    const WireValues d = WireValues::Dense(format, dense.size());
    const WireValues r = WireValues::Rows(format, ids.size(), kWidth);
    return Parts().Dense(1, Decoded(d, EncodedBytes(d, dense)))
        .Rows(2, ids, Decoded(r, EncodedBytes(r, rows)));
  }
};

std::vector<Client> Begin(PsServer* ps, int workers) {
  std::vector<Client> clients;
  for (int w = 0; w < workers; ++w) {
    clients.emplace_back(ps, w);
    clients.back().Join();
  }
  clients[0].Control(kCreateVariable, DenseSpec(1, {kDense}, "Adam"));
  clients[0].Control(kCreateTable, RowsSpec(2, kWidth, "Adagrad"));
  return clients;
}

TEST(PsWire, APushIsWhatItsDecodedValuesAre) {
  for (const auto mode : {Consistency::kAsync, Consistency::kSync}) {
    for (int mix = 0; mix < 27; ++mix) {  // three workers, each with a format
      PsServer encoded(Options(mode, 3)), plain(Options(mode, 3));
      auto a = Begin(&encoded, 3), b = Begin(&plain, 3);
      for (int step = 0; step < 3; ++step) {
        for (int w = 0; w < 3; ++w) {
          const Gradients g(static_cast<uint64_t>(100 * step + w));
          const WireFormat format = kFormats[w == 0 ? mix % 3 : w == 1 ? mix / 3 % 3 : mix / 9];
          const auto pushed = a[w].Push(step, g.In(format));
          EXPECT_FALSE(pushed->error) << pushed->error->what();
          b[w].Push(step, g.DecodedFrom(format));
        }
      }
      EXPECT_EQ(encoded.shard().ledger().Slowest(), 3);
      EXPECT_TRUE(ContentsOf(&encoded.shard()) == ContentsOf(&plain.shard())) << mix;
    }
  }
}

TEST(PsWire, APullIsEncodedAsItWasAskedFor) {
  PsServer ps(Options(Consistency::kAsync));
  auto w = Begin(&ps, 1);
  w[0].Push(0, Gradients(5).In(WireFormat::kFloat32));
  std::vector<uint64_t> ids(150);  // more than are looked up at a time
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = i / 2;
  const auto exact = w[0].Pull(1, Parts().PullDense(1, kDense).PullRows(2, ids))->floats();
  const std::vector<float> dense(exact.begin(), exact.begin() + kDense);
  const std::vector<float> rows(exact.begin() + kDense, exact.end());
  for (const WireFormat format : kFormats) {
    Parts parts = Parts().PullRows(2, ids).PullDense(1, kDense).PullRows(2, ids);
    for (PartControl& part : parts.pull) part.encoding = format;
    parts.pull[2].encoding = WireFormat::kFloat32;
    const auto reply = w[0].Pull(1, parts);
    ASSERT_TRUE(reply->ok());
    const std::string d = EncodedBytes(WireValues::Dense(format, kDense), dense);
    const std::string r = EncodedBytes(WireValues::Rows(format, ids.size(), kWidth), rows);
    EXPECT_EQ(reply->part(0).bytes, r.size());
    EXPECT_EQ(reply->part(1).bytes, d.size());
    const std::string got(reinterpret_cast<const char*>(reply->reply_payload.data()),
                          reply->reply_payload.size());
    EXPECT_TRUE(got == r + d + std::string(reinterpret_cast<const char*>(rows.data()),
                                           rows.size() * sizeof(float)));
  }
}

TEST(PsWire, TheLogGivesTheSameBits) {
  for (const auto mode : {Consistency::kAsync, Consistency::kSync}) {
    const TempDir dir("ps_wire");
    std::map<std::string, std::string> before, complete;
    const Gradients last(77);
    {
      PsServer ps(Options(mode, 2, dir.path()));
      ps.Begin();
      auto w = Begin(&ps, 2);
      for (int step = 0; step < 6; ++step) {
        for (int i = 0; i < 2; ++i) {
          w[i].Push(step, Gradients(static_cast<uint64_t>(10 * step + i)).In(kFormats[step % 3]));
        }
      }
      w[0].Push(6, last.In(WireFormat::kInt8));  // sync: waits for the other
      before = ContentsOf(&ps.shard());
      PsServer same(Options(mode, 2, dir.path()));
      EXPECT_EQ(same.Recover(""), 17u);
      EXPECT_TRUE(ContentsOf(&same.shard()) == before);
      EXPECT_EQ(same.shard().Pending().size(), mode == Consistency::kSync ? 1u : 0u);
      Client other(&same, 1);
      other.Step(kPush, 6, last.In(WireFormat::kBfloat16), kEndOfStep, -1, 7);
      w[1].Push(6, last.In(WireFormat::kBfloat16));
      complete = ContentsOf(&ps.shard());
      EXPECT_TRUE(ContentsOf(&same.shard()) == complete);
    }
    EXPECT_FALSE(before == complete);
  }
}

TEST(PsWire, WhatDoesNotFitIsRefused) {
  PsServer ps(Options(Consistency::kAsync));
  auto w = Begin(&ps, 1);
  w[0].Push(0, Gradients(1).In(WireFormat::kFloat32));
  const auto before = ContentsOf(&ps.shard());
  const auto code = [](const CallPtr& call) {
    return call->error ? call->error->code() : Code::kOk;
  };
  for (const WireFormat format : kFormats) {
    Parts shorter = Gradients(2).In(format), longer = shorter, other = shorter;
    shorter.pushed.resize(shorter.pushed.size() - 8);
    longer.pushed.resize(longer.pushed.size() + 8);
    EXPECT_EQ(code(w[0].Push(1, shorter)), Code::kInvalidArgument);
    EXPECT_EQ(code(w[0].Push(1, longer)), Code::kInvalidArgument);
    for (const WireFormat claimed : kFormats) {
      if (claimed == format) continue;
      other.push[0].encoding = other.push[1].encoding = claimed;
      EXPECT_EQ(code(w[0].Push(1, other)), Code::kInvalidArgument);
    }
    other.push[0].encoding = static_cast<WireFormat>(3);
    EXPECT_EQ(code(w[0].Push(1, other)), Code::kUnimplemented);
    for (const int bits : {32, 40, 58, 59, 60, 61, 62, 63}) {
      Parts many = Gradients(2).In(format);
      many.push[1].count = uint64_t{1} << bits;
      EXPECT_EQ(code(w[0].Push(1, many)), Code::kInvalidArgument) << bits;
      Parts several;  // which are nothing together, in 64 bits
      several.push.assign(8, {.target = 2, .kind = PartKind::kRows, .encoding = format,
                              .count = uint64_t{1} << std::min(bits, 40)});
      EXPECT_EQ(code(w[0].Push(1, several)), Code::kInvalidArgument) << bits;
      Parts pull;
      pull.pull.push_back({.target = 2, .kind = PartKind::kRows, .encoding = format,
                           .count = uint64_t{1} << bits});
      EXPECT_EQ(code(w[0].Pull(1, pull)), Code::kInvalidArgument) << bits;
      EXPECT_EQ(code(w[0].Push(1, pull)), Code::kInvalidArgument) << bits;
    }
    Parts wrong_size, unknown;
    wrong_size.pull.push_back({.target = 1, .encoding = format, .count = kDense + 1});
    EXPECT_EQ(code(w[0].Pull(1, wrong_size)), Code::kInvalidArgument);
    unknown.pull.push_back({.target = 1, .encoding = static_cast<WireFormat>(200),
                            .count = kDense});
    EXPECT_EQ(code(w[0].Pull(1, unknown)), Code::kUnimplemented);
  }
  EXPECT_TRUE(ContentsOf(&ps.shard()) == before);
}

TEST(PsWire, WhatIsNotFiniteChangesNothing) {
  PsServer ps(Options(Consistency::kAsync));
  auto w = Begin(&ps, 1);
  const auto before = ContentsOf(&ps.shard());
  for (const WireFormat format : kFormats) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                            -std::numeric_limits<float>::infinity()}) {
      Gradients dense(1), rows(2);
      dense.dense[kDense - 1] = bad;
      rows.rows[17] = bad;
      EXPECT_THAT(w[0].Push(0, dense.In(format))->error->what(), HasSubstr("not finite"));
      EXPECT_THAT(w[0].Push(0, rows.In(format))->error->what(), HasSubstr("'table2'"));
    }
  }
  EXPECT_TRUE(ContentsOf(&ps.shard()) == before);
  EXPECT_EQ(ps.stats().not_finite, 12u);
}

// --- The client's side ---------------------------------------------------------------------

// One server that a client reaches over a carrier.
class Reached {
 public:
  explicit Reached(const std::string& address, const PsServerOptions& options = {})
      : ps_(options), server_(Listen(address, ps_.handler(), {.hello = {.role = "ps"}})),
        client_({.hello = {.role = "worker", .generation = 1}, .servers = 1,
                 .find = [this](int) { return server_->address(); }}) {
    client_.Join();
  }
  PsServer& ps() { return ps_; }
  PsClient& client() { return client_; }

 private:
  PsServer ps_;
  std::unique_ptr<Server> server_;
  PsClient client_;
};

TEST(PsWire, AClientSendsAndReadsEveryFormat) {
  for (const char* address : {"inproc://ps-wire", "tcp://127.0.0.1:0"}) {
    Reached job(address);
    auto w = Begin(&job.ps(), 1);
    StepExchange step(1);
    uint64_t version = 0;
    for (int64_t i = 0; i < 9; ++i) {
      const Gradients g(static_cast<uint64_t>(i));
      const WireFormat push = kFormats[i % 3], pull = kFormats[i / 3];
      step.SetWireFormat(push, pull);
      step.Begin(kPushPull, i, 0.1, kEndOfStep);
      step.PushDense(0, 1, g.dense);
      step.PushRows(0, 2, g.ids, g.rows);
      std::vector<float> dense(kDense), again(kDense), rows(g.rows.size());
      step.PullDense(0, 1, dense, nullptr);
      step.PullRows(0, 2, g.ids, rows);
      job.client().Run(&step);
      const std::span<const float> there = job.ps().shard().variable(1).weights();
      const WireValues d = WireValues::Dense(pull, kDense);
      const WireValues r = WireValues::Rows(pull, g.ids.size(), kWidth);
      EXPECT_EQ(dense, Decoded(d, EncodedBytes(d, {there.begin(), there.end()})));
      std::vector<float> exact(rows.size());
      job.ps().shard().table(2).Lookup(g.ids, exact.data());
      EXPECT_EQ(rows, Decoded(r, EncodedBytes(r, exact)));
      // With versions: the same, and nothing the second time.
      again = dense;
      step.Begin(kPull, i, -1, 0);
      std::fill(dense.begin(), dense.end(), 7.0f);
      step.PullDense(0, 1, dense, &version);
      step.PullRows(0, 2, g.ids, rows);
      job.client().Run(&step);
      EXPECT_EQ(dense, again);
      dense[3] = 7;
      step.Begin(kPull, i, -1, 0);
      step.PullDense(0, 1, dense, &version);
      job.client().Run(&step);
      EXPECT_EQ(dense[3], 7);
    }
  }
}

TEST(PsWire, FewerBytesTravel) {
  Reached job("inproc://ps-wire-bytes");
  job.client().CallAll(kCreateTable, Pack(RowsSpec(2, 64)));
  job.client().CallAll(kCreateVariable, Pack(DenseSpec(1, {50'000})));
  std::vector<uint64_t> ids(2000);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = i;
  const std::vector<float> gradient = Random(50'000, 1), grads = Random(64 * ids.size(), 2);
  std::vector<float> weights(gradient.size()), rows(grads.size());
  uint64_t in[3], out[3];
  for (const WireFormat format : kFormats) {
    StepExchange step(1);
    step.SetWireFormat(format, format);
    step.Begin(kPushPull, 0, 0.1, kEndOfStep);
    step.PushDense(0, 1, gradient);
    step.PushRows(0, 2, ids, grads);
    step.PullDense(0, 1, weights, nullptr);
    step.PullRows(0, 2, ids, rows);
    job.client().Run(&step);
    in[static_cast<int>(format)] = step.bytes_in();
    out[static_cast<int>(format)] = step.bytes_out();
  }
  const auto share = [](const uint64_t* bytes, int i) {
    return static_cast<double>(bytes[i]) / static_cast<double>(bytes[0]);
  };
  EXPECT_LT(share(in, 1), 0.505);
  EXPECT_LT(share(in, 2), 0.27);
  EXPECT_LT(share(out, 1), 0.53);  // ids stay as they are
  EXPECT_LT(share(out, 2), 0.30);
}

// Least squares of 40 weights, and one of a task with labels so noisy that its gradient is a
// thousand times theirs: next to it they are less than a step of int8. Returns the loss of
// the 40.
double Regress(WireFormat format, bool feedback) {
  Reached job("inproc://ps-wire-regress");
  constexpr int kFeatures = 40, kBatch = 16;
  job.client().CallAll(kCreateVariable, Pack(DenseSpec(1, {kFeatures + 1})));
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  const std::vector<float> truth = Random(kFeatures, 9);
  std::vector<float> w(kFeatures + 1), gradient(kFeatures + 1), residual(kFeatures + 1);
  StepExchange step(1);
  step.SetWireFormat(format, WireFormat::kFloat32);
  for (int64_t t = 0; t < 2000; ++t) {
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    for (int b = 0; b < kBatch; ++b) {
      float x[kFeatures], error = 0;
      for (int j = 0; j < kFeatures; ++j) {
        x[j] = normal(random);
        error += x[j] * (w[j] - truth[j]);
      }
      for (int j = 0; j < kFeatures; ++j) gradient[j] += error * x[j] / kBatch;
      gradient[kFeatures] += (w[kFeatures] - 3000 * normal(random)) / kBatch;
    }
    const double rate = 0.1 / (1 + static_cast<double>(t) / 100);
    step.Begin(kPushPull, t, rate, kEndOfStep);
    step.PushDense(0, 1, gradient, feedback ? residual.data() : nullptr);
    step.PullDense(0, 1, w, nullptr);
    job.client().Run(&step);
  }
  double loss = 0;
  for (int j = 0; j < kFeatures; ++j) loss += std::pow(w[j] - truth[j], 2);
  return loss / kFeatures;
}

TEST(PsWire, WithFeedbackInt8ArrivesWhereFloat32Does) {
  const double exact = Regress(WireFormat::kFloat32, false);
  const double fed = Regress(WireFormat::kInt8, true);
  const double rounded = Regress(WireFormat::kInt8, false);
  EXPECT_LT(exact, 1e-6);
  EXPECT_LT(fed, 1e-6);
  EXPECT_LT(Regress(WireFormat::kBfloat16, true), 1e-6);
  EXPECT_GT(rounded, 1e-4) << "the feedback would not matter";
}

}  // namespace
}  // namespace tributary::ps
