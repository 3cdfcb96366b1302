// What is no template of Boost.Asio, compiled here once (see asio.h).

#include "distribute/transport/tcp/asio.h"

#include <boost/asio/impl/src.hpp>
