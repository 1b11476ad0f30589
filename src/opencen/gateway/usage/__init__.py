"""What passes each link of this gateway: read from the kernel, kept on disk, sent to the control plane."""
