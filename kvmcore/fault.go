package kvmcore
