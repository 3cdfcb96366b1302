#include "tests/distribute/transport/job_secrets.h"
#include "tests/distribute/transport/transport_contract.h"

namespace tributary {
namespace {

CarrierCase Inproc() {
  return {.carrier = "inproc", .listen_address = [] {
            static int count = 0;
            return fmt::format("inproc://contract-{}", count++);
          }};
}

CarrierCase Tcp(const char* address) {
  return {.carrier = "tcp", .listen_address = [address] { return std::string(address); }};
}

CarrierCase TcpByKey() {
  CarrierCase tcp = Tcp("tcp://127.0.0.1:0");
  tcp.security = [] { return JobSecrets::Get().key(); };
  return tcp;
}

CarrierCase TcpByCertificates() {
  CarrierCase tcp = Tcp("tcp://[::1]:0");
  tcp.security = [] { return JobSecrets::Get().certificates(); };
  return tcp;
}

CarrierCase TcpWithoutChecksums() {
  CarrierCase tcp = Tcp("tcp://localhost:0");
  tcp.checksums = false;
  return tcp;
}

INSTANTIATE_TEST_SUITE_P(Inproc, TransportContract, testing::Values(Inproc()));
INSTANTIATE_TEST_SUITE_P(Tcp, TransportContract, testing::Values(Tcp("tcp://127.0.0.1:0"), TcpWithoutChecksums(),
                                         TcpByKey(), TcpByCertificates()));

TEST(Carriers, UnknownSchemesAndBadAddressesAreNamed) {
  EXPECT_THAT(ErrorOf<InvalidArgumentError>([] { Connect("localhost:1", {}); }),
              HasSubstr("SCHEME://"));
  EXPECT_THAT(ErrorOf<NotFoundError>([] { Connect("inprok://x", {}); }),
              HasSubstr("did you mean 'inproc'"));
}

TEST(InprocCarrier, ANameIsTakenOnce) {
  const Handler handler = [](const Request&, Responder) {};
  const auto first = Listen("inproc://taken", handler, {});
  EXPECT_THROW(Listen("inproc://taken", handler, {}), AlreadyExistsError);
}

}  // namespace
}  // namespace tributary
