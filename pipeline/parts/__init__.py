"""What the stages and tools are made of. Parts never import stages or tools."""
