# cmake -D SOURCE=DIR -D OUTPUT=FILE -P write_commit.cmake: the commit of a checkout as a
# C++ constant, "" for a tarball. The file changes only when the commit does.
execute_process(COMMAND git --no-optional-locks -C ${SOURCE} describe --always --dirty --tags
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR NOT EXISTS "${SOURCE}/.git")  # below somebody else's checkout
  set(commit "")
endif()
set(text "constexpr char kCommit[] = \"${commit}\";\n")
set(before "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${OUTPUT} "${text}")
endif()
