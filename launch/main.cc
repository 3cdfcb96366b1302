#include "launch/cli/cli.h"

int main(int argc, char** argv) { return tributary::RunCommandLine(argc, argv); }
