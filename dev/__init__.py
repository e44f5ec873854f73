"""What a developer's machine needs and nobody ships."""
