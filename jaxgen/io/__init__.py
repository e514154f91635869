"""What touches the terminal and the disk: errors, files, programs, pictures, archives."""
