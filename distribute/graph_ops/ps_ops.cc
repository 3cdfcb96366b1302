#include "distribute/graph_ops/ps_ops.h"

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"

namespace tributary {

ObjectTable<ps::PsSession>& PsSessions() {
  static auto* table = new ObjectTable<ps::PsSession>("parameter_server");
  return *table;
}

namespace {

std::shared_ptr<ps::PsSession> SessionOf(const PrepareContext& c) {
  return PsSessions().Get(c.attr<int64_t>("session"));
}

int LookupOf(const PrepareContext& c) { return static_cast<int>(c.attr<int64_t>("lookup")); }
uint32_t TableOf(const PrepareContext& c) { return static_cast<uint32_t>(c.attr<int64_t>("table")); }

// The answer is on its way while the kernels before the first reader run.
class PullKernel final : public AsyncKernel {
 public:
  explicit PullKernel(std::shared_ptr<ps::PsSession> session) : session_(std::move(session)) {}
  void Launch(const LaunchArgs& args) override { *static_cast<int32_t*>(args.out[0]) = 0; }
  void Finish() override { session_->WaitForReads(); }

 private:
  std::shared_ptr<ps::PsSession> session_;
};

std::unique_ptr<Kernel> MakePull(PrepareContext& c) {
  return std::make_unique<PullKernel>(SessionOf(c));
}

std::unique_ptr<Kernel> MakeLookup(PrepareContext& c) {
  const auto session = SessionOf(c);
  const int lookup = LookupOf(c);
  const uint32_t table = TableOf(c);
  const DType dtype = c.in_dtype(1);
  const int64_t count = c.in_shape(1).NumElements();
  const Shape& rows = c.in_shape(0);
  if (rows.rank() != 2 || rows[0] < count || rows[1] != session->table(table).width) {
    throw InvalidArgumentError("[PsLookup] a local table of shape {} for {} ids of rows of {}",
                               rows.ToString(), count, session->table(table).width);
  }
  return MakeKernel([=](const LaunchArgs& args) {
    session->LookUp(lookup, table, dtype, args.in[1], count, static_cast<float*>(args.in[0]),
                    static_cast<int32_t*>(args.out[0]));
  });
}

std::unique_ptr<Kernel> MakePushRows(PrepareContext& c) {
  const auto session = SessionOf(c);
  const int lookup = LookupOf(c);
  const uint32_t table = TableOf(c);
  const auto count = static_cast<size_t>(c.in_shape(1).NumElements());
  return MakeKernel([=](const LaunchArgs& args) {
    session->StageRows(lookup, table, {static_cast<const int32_t*>(args.in[1]), count},
                       static_cast<const float*>(args.in[0]));
  });
}

std::unique_ptr<Kernel> MakePush(PrepareContext& c) {
  std::vector<const float*> gradients(static_cast<size_t>(c.num_inputs()));
  return MakeKernel([session = SessionOf(c), gradients](const LaunchArgs& args) mutable {
    for (size_t i = 0; i < gradients.size(); ++i) {
      gradients[i] = static_cast<const float*>(args.in[i]);
    }
    session->SendStep(gradients);
  });
}

}  // namespace

REGISTER_OP("PsPull")
    .Input("variables: Nvariables * resource")
    .Output("token: int32")
    .Attr("Nvariables: int >= 0")
    .Attr("session: int")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext& c) { c.set_output(0, Shape{}); });
REGISTER_KERNEL("PsPull", DeviceType::kCpu, {}, MakePull);

REGISTER_OP("PsLookup")
    .Input("rows: resource")
    .Input("ids: Tids")
    .Input("token: int32")
    .Output("local: int32")
    .Attr("Tids: {int32, int64}")
    .Attr("session: int")
    .Attr("lookup: int")
    .Attr("table: int >= 0")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext& c) { c.set_output(0, c.shape(1)); });
REGISTER_KERNEL("PsLookup", DeviceType::kCpu, {}, MakeLookup);

REGISTER_OP("PsPushRows")
    .Input("values: float32")
    .Input("ids: int32")
    .Attr("session: int")
    .Attr("lookup: int >= 0")
    .Attr("table: int >= 0")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext&) {});
REGISTER_KERNEL("PsPushRows", DeviceType::kCpu, {}, MakePushRows);

REGISTER_OP("PsPush")
    .Input("gradients: Ngradients * float32")
    .Attr("Ngradients: int >= 0")
    .Attr("session: int")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext&) {});
REGISTER_KERNEL("PsPush", DeviceType::kCpu, {}, MakePush);

Tensor PsPull(int64_t session, const std::vector<Tensor>& variables) {
  return Execute1("PsPull", variables, {{"session", session}});
}

Tensor PsLookup(int64_t session, int lookup, uint32_t table, const Tensor& rows,
                const Tensor& ids, const Tensor& token) {
  return Execute1("PsLookup", {rows, ids, token},
                  {{"session", session}, {"lookup", int64_t{lookup}}, {"table", int64_t{table}}});
}

void PsPushRows(int64_t session, int lookup, uint32_t table, const Tensor& values,
                const Tensor& ids) {
  Execute("PsPushRows", {values, ids},
          {{"session", session}, {"lookup", int64_t{lookup}}, {"table", int64_t{table}}});
}

void PsPush(int64_t session, const std::vector<Tensor>& gradients) {
  Execute("PsPush", gradients, {{"session", session}});
}

}  // namespace tributary
