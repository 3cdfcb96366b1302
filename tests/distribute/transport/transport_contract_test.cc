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

INSTANTIATE_TEST_SUITE_P(Inproc, TransportContract, testing::Values(Inproc()));
INSTANTIATE_TEST_SUITE_P(Tcp, TransportContract, testing::Values(Tcp("tcp://127.0.0.1:0")));

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
